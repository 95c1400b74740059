"""What the file says about its vector environment decides how its lanes are run again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gymnasium.vector import AutoresetMode

from gym_h5record.errors import CorruptRecordingError, NotReplayableError
from gym_h5record.replay.vector_description import (
    STATISTICS,
    check_lanes_alone,
    described_vector,
    ignored_infos,
    is_stepped_together,
)

SYNC = "gymnasium.vector.sync_vector_env:SyncVectorEnv"
RECORDER = "gym_h5record.recorder.vector_wrapper:RecordToHDF5"


def recording(env_class: str = SYNC, wrappers: Any = (), env_spec: Any = None, **others: Any) -> Any:
    vector = {
        "class": env_class,
        "wrappers": list(wrappers),
        "autoreset_mode": "SAME_STEP",
        "num_envs": 3,
        "lanes": [0, 2],
        "spec": None,
        **others,
    }
    return SimpleNamespace(path="a.h5", metadata={"vector": vector, "env_spec": env_spec})


def test_every_part_is_read() -> None:
    found = described_vector(recording("some.module:Outer.Lanes", [RECORDER, "a:B"]))
    assert found is not None
    assert (found.name, found.mode, found.num_envs, found.lanes) == ("Lanes", AutoresetMode.SAME_STEP, 3, (0, 2))
    assert found.wrappers == ("a:B",)  # a recorder changes nothing


def test_a_recording_of_one_environment_has_none() -> None:
    alone = SimpleNamespace(path="a.h5", metadata={})
    assert described_vector(alone) is None  # type: ignore[arg-type]  # it asks for no more
    assert not is_stepped_together(alone)  # type: ignore[arg-type]
    assert ignored_infos(alone) == ()  # type: ignore[arg-type]
    check_lanes_alone(alone)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "part",
    [{"num_envs": "3"}, {"lanes": None}, {"lanes": ["0"]}, {"autoreset_mode": "NEVER"}, {"spec": 3}, {"wrappers": [1]}],
    ids=["number", "no lanes", "lane", "mode", "spec", "wrapper"],
)
def test_what_cannot_be_understood_is_an_error_of_the_file(part: dict[str, Any]) -> None:
    with pytest.raises(CorruptRecordingError, match="a.h5: /metadata vector cannot be understood"):
        described_vector(recording(**part))


@pytest.mark.parametrize(
    ("told", "together"),
    [
        (recording(SYNC), False),
        (recording("gymnasium.vector.async_vector_env:AsyncVectorEnv"), False),
        (recording("mine:Lanes"), True),
        (recording("mine:Lanes", env_spec={"id": "CartPole-v1"}), False),  # made like SyncVectorEnv, its lanes have one
        (recording(SYNC, [RECORDER]), False),
        (recording(SYNC, [STATISTICS]), False),
        (recording(SYNC, ["gymnasium.wrappers.vector.stateful_observation:NormalizeObservation"]), True),
    ],
    ids=["sync", "async", "custom", "custom with specs", "recorder", "statistics", "normalized"],
)
def test_lanes_are_stepped_together_if_something_joins_them(told: Any, together: bool) -> None:
    assert is_stepped_together(told) == together


def test_statistics_around_all_lanes_are_not_those_of_one() -> None:
    assert ignored_infos(recording(SYNC, [STATISTICS])) == ("episode",)
    assert ignored_infos(recording(SYNC)) == ()


@pytest.mark.parametrize(
    ("told", "name"),
    [(recording("mine:Lanes"), "Lanes"), (recording(SYNC, [STATISTICS, "a:Joined"]), "Joined")],
    ids=["environment", "wrapper"],
)
def test_a_branch_is_refused_with_the_name_of_what_joins_the_lanes(told: Any, name: str) -> None:
    with pytest.raises(NotReplayableError, match=f"but {name} steps 3 environments together"):
        check_lanes_alone(told)
