"""Kills at random instants and at writes: every kind of kill of ``scripts/crash_test.py``, at a few points each.

The script inspects thousands of points, here there are some 80: to inspect one takes 0.15 s. The points between the
writes of a recording, within them, and within a repair after them come from one traced recorder.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import h5py
import pytest

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from scripts.crash.boundaries import Sampling, every_write
from scripts.crash.cycles import kill_and_resume
from scripts.crash.findings import Finding
from scripts.crash.inspector import Inspector
from scripts.crash.kills import kill_randomly, kill_repairs
from scripts.crash.plays import make_env, play
from scripts.crash.recorders import acts, record
from scripts.crash.scenes import SCENES, Scene
from scripts.crash.studio import CAMERAS
from scripts.crash.tally import Tally, markdown
from scripts.crash.tracing import why_not
from tests.writing import Pen

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds the writer through /proc"),
    pytest.mark.compacted,
    pytest.mark.long,
]
traced = pytest.mark.skipif(bool(why_not()), reason=why_not() or "traced")

KILLS = [
    ("recorder", "CartPole-v1", "process"),
    ("recorder", "Ragged", "inline"),
    ("writer", "FrozenLake-v1", "process"),
    ("groups", "ALE/Breakout-v5", "process"),
    ("recorder", "Studio", "inline"),
    ("both", "Studio", "process"),
]


def scene_of(env: str, name: str) -> Scene:
    return next(scene for scene in SCENES if scene.env == env and name in scene.name)


RECORDED, RESUMED, REPAIRED = (scene_of("Ragged", name) for name in ("start to close", "after a crash", "`repair`"))
DISCARDING, DISCARDING_ON, REPAIRED_DISCARDS = (
    scene_of("Studio", name) for name in ("start to close", "after a crash", "`repair`")
)


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector() as running:
        yield running


@pytest.fixture(scope="module")
def at_writes(inspector: Inspector, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tally, Tally, Tally]:
    """What was found between the writes of a recording, within them, and after repairs that were killed as well."""
    sampling = Sampling(every=149, torn_every=53, twice_every=401)
    return every_write(tmp_path_factory.mktemp("writes"), inspector, random.Random(2), RECORDED, sampling)


def check(tally: Tally) -> None:
    """Fail if a step was lost, a file does not open, or there was no crash point."""
    assert tally.is_good, "\n".join([markdown([tally]), *tally.problems])
    assert tally.points


# At random instants ------------------------------------------------------------------------------


@pytest.mark.parametrize(("victim", "env", "writer"), KILLS, ids=["-".join(each).replace("/", "_") for each in KILLS])
def test_no_step_is_lost_and_none_is_changed_by_a_kill_at_a_random_instant(
    victim: str, env: str, writer: str, tmp_path: Path, inspector: Inspector
) -> None:
    check(kill_randomly(tmp_path, inspector, random.Random(f"{victim} {env}"), victim, [(env, writer)]))


def test_no_step_is_lost_when_repairs_are_killed(tmp_path: Path, inspector: Inspector) -> None:
    check(kill_repairs(tmp_path, inspector, random.Random(1), [("Ragged", "process")]))


def test_no_step_is_lost_when_a_file_is_resumed_and_killed_three_times(tmp_path: Path, inspector: Inspector) -> None:
    tally = kill_and_resume(tmp_path, inspector, random.Random(34), "Ragged", 3)
    check(tally)
    assert tally.points == 3
    assert tally.acknowledged


# At every write ----------------------------------------------------------------------------------


@traced
def test_no_step_is_lost_and_none_is_changed_by_a_kill_between_two_writes(
    at_writes: tuple[Tally, Tally, Tally],
) -> None:
    check(at_writes[0])


@traced
@pytest.mark.parametrize(("scene", "every"), [(RESUMED, 149), (REPAIRED, 37)], ids=["resuming", "repairing"])
def test_no_step_is_lost_and_none_is_changed_by_a_kill_between_two_writes_that_go_on_with_a_recording(
    scene: Scene, every: int, tmp_path: Path, inspector: Inspector
) -> None:
    check(every_write(tmp_path, inspector, random.Random(2), scene, Sampling(every=every, torn_every=0))[0])


@traced
def test_no_step_is_lost_by_a_kill_between_two_pages_of_a_write(at_writes: tuple[Tally, Tally, Tally]) -> None:
    check(at_writes[1])


@traced
def test_no_step_is_lost_by_a_kill_at_a_write_and_another_one_at_a_write_of_repair(
    at_writes: tuple[Tally, Tally, Tally],
) -> None:
    check(at_writes[2])


@traced
@pytest.mark.parametrize(
    ("scene", "sampling"),
    [
        (DISCARDING, Sampling(every=349, torn_every=251, twice_every=1201)),
        (DISCARDING_ON, Sampling(every=399, torn_every=0, twice_every=0)),
        (REPAIRED_DISCARDS, Sampling(every=149, torn_every=61, twice_every=199)),
    ],
    ids=["recording", "resuming", "repairing"],
)
def test_a_kill_at_a_write_loses_no_episode_that_was_kept_and_brings_none_back_that_was_discarded(
    scene: Scene, sampling: Sampling, tmp_path: Path, inspector: Inspector
) -> None:
    """With extras, times, arrays of rewards, infos with odd keys, two cameras and values of a custom space."""
    for tally in every_write(tmp_path, inspector, random.Random(5), scene, sampling):
        assert tally.is_good, "\n".join([markdown([tally]), *tally.problems])


# Lanes -------------------------------------------------------------------------------------------


@traced
@pytest.mark.parametrize(
    ("scene", "sampling"),
    [
        (Scene("recorded", "Lanes/SAME_STEP", 19, 5, 8), Sampling(every=149, torn_every=199)),
        (Scene("resumed", "Lanes/DISABLED", 10, 4, 8, before=19), Sampling(every=149, torn_every=199)),
        (Scene("repaired", "Lanes/NEXT_STEP", 0, 8, 16, before=21), Sampling(every=99, torn_every=149)),
    ],
    ids=["recording", "resuming", "repairing"],
)
def test_a_kill_at_a_write_leaves_all_lanes_as_they_were_at_one_instant(
    scene: Scene, sampling: Sampling, tmp_path: Path, inspector: Inspector
) -> None:
    """Lanes are out of step, some of their episodes are discarded, and a small ring wraps around."""
    tallies = every_write(tmp_path, inspector, random.Random(6), scene, sampling)
    for tally in tallies:
        assert tally.is_good, "\n".join([markdown([tally]), *tally.problems])
    assert all(tally.points for tally in tallies[:2])


def test_no_lane_is_changed_by_a_kill_at_a_random_instant(tmp_path: Path, inspector: Inspector) -> None:
    check(kill_randomly(tmp_path, inspector, random.Random(4), "both", [("Lanes/SAME_STEP", "process")]))


@pytest.fixture
def recorded_lanes(tmp_path: Path) -> Path:
    """Forty acts of lanes that are reset one by one."""
    path = tmp_path / "files" / "run.h5"
    path.parent.mkdir()
    envs = record("Lanes/DISABLED", 0, path, writer="inline")
    for _ in islice(acts(envs, "Lanes/DISABLED", 0), 40):
        pass
    envs.close()
    return path


def test_the_inspection_accepts_lanes_as_they_were_after_these_acts_and_no_others(
    recorded_lanes: Path, inspector: Inspector
) -> None:
    problems = {count: inspector.inspect(recorded_lanes, "Lanes/DISABLED", [count]).problems for count in (38, 40, 43)}
    assert problems.pop(40) == []
    assert all(f"no instant from act {count} to {count + 1}" in found[0] for count, found in problems.items())


@pytest.mark.parametrize("name", ["observations/at", "actions", "rewards", "infos/odd", "extras/value"])
def test_the_inspection_notices_a_changed_number_of_a_lane(
    name: str, recorded_lanes: Path, inspector: Inspector
) -> None:
    with h5py.File(recorded_lanes, "r+") as file:
        file[name][1, 3] = file[name][1, 3] + 1
    assert inspector.inspect(recorded_lanes, "Lanes/DISABLED", [40]).contradicting


def test_the_inspection_notices_a_lane_that_is_ahead_of_the_others(recorded_lanes: Path, inspector: Inspector) -> None:
    with h5py.File(recorded_lanes, "r+") as file:
        newest = int(file["commit"][-1]) - 1  # a running episode: now it has a step less than those of other lanes
        file["episodes/lengths"][newest] -= 1
        lane = int(file["episodes/envs"][newest])
        file["commit"][lane] -= 1
        file["positions"][4 + lane] -= 1
    problems = inspector.inspect(recorded_lanes, "Lanes/DISABLED", [40]).problems
    assert any("no instant from act 40 to 41" in each for each in problems)


# The inspection itself ---------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Two episodes of FrozenLake, alone in a folder."""
    path = tmp_path / "files" / "run.h5"
    path.parent.mkdir()
    env = h5r.RecordToHDF5(make_env("FrozenLake-v1"), path, writer="inline")
    for seed in (0, 1):
        list(play(env, seed))
    env.close()
    return path


def num_steps(path: Path) -> int:
    with h5r.Recording(path) as recording:
        return recording.num_steps


def test_the_inspection_accepts_a_complete_recording(recorded: Path, inspector: Inspector) -> None:
    steps = num_steps(recorded)
    finding = inspector.inspect(recorded, "FrozenLake-v1", [steps])
    assert (finding.opens, finding.found, finding.contradicting, finding.strays) == (True, [steps], [], [])
    assert not finding.problems


def test_the_inspection_accepts_a_file_without_rows_if_no_step_had_returned(
    tmp_path: Path, inspector: Inspector
) -> None:
    path = tmp_path / "files" / "run.h5"
    path.parent.mkdir()
    with Pen(path):
        pass
    finding = inspector.inspect(path, "FrozenLake-v1", [0])
    assert (finding.opens, finding.found, finding.problems) == (True, [0], [])


@pytest.mark.parametrize("name", ["observations", "rewards", "terminations", "episodes/returns", "episodes/lengths"])
def test_the_inspection_notices_a_changed_number(name: str, recorded: Path, inspector: Inspector) -> None:
    steps = num_steps(recorded)
    with h5py.File(recorded, "r+") as file:
        file[name][1] = not file[name][1] if file[name].dtype == bool else file[name][1] + 1
    assert not _tallied(inspector.inspect(recorded, "FrozenLake-v1", [steps]), [steps]).is_good


def test_the_inspection_notices_lost_and_invented_steps(recorded: Path, inspector: Inspector) -> None:
    steps = num_steps(recorded)
    lost = _tallied(inspector.inspect(recorded, "FrozenLake-v1", [steps + 3]), [steps + 3])
    assert lost.lost == 3
    assert not lost.is_good
    unseen = _tallied(inspector.inspect(recorded, "FrozenLake-v1", [steps - 1]), [steps - 1])
    assert unseen.is_good
    assert not _tallied(inspector.inspect(recorded, "FrozenLake-v1", [steps - 2]), [steps - 2]).is_good


def test_the_inspection_notices_an_unreadable_file_and_a_missing_one(recorded: Path, inspector: Inspector) -> None:
    recorded.write_bytes(b"nothing")
    assert not _tallied(inspector.inspect(recorded, "FrozenLake-v1", [0]), [0]).is_good
    recorded.unlink()
    assert _tallied(inspector.inspect(recorded, "FrozenLake-v1", [0]), [0]).is_good
    assert not _tallied(inspector.inspect(recorded, "FrozenLake-v1", [1]), [1]).is_good


def studio(folder: Path, num_episodes: int) -> Path:
    """Episodes of the studio. Not one is discarded, although the second, the fifth and the seventh should be."""
    path = folder / "files" / "run.h5"
    path.parent.mkdir()
    env = h5r.RecordToHDF5(make_env("Studio"), path, writer="inline", frames=CAMERAS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # some pages do not fit their columns
        for seed in range(num_episodes):
            list(play(env, seed))
    env.close()
    return path


def test_the_inspection_notices_discarded_episodes_that_come_back(tmp_path: Path, inspector: Inspector) -> None:
    path = studio(tmp_path, 7)
    acts = num_steps(path) + 2  # and two calls of discard_episode
    finding = inspector.inspect(path, "Studio", [acts])
    assert not _tallied(finding, [acts]).is_good
    assert [each for each in finding.problems if "had been discarded" in each] == [
        f"episode {number}: the episode of the seed {number} had been discarded" for number in (1, 4, 6)
    ]
    assert any("0 discarded episodes, expected 3 to 3" in each for each in finding.problems)


def test_the_inspection_accepts_an_episode_whose_discard_has_not_returned_and_no_other(
    tmp_path: Path, inspector: Inspector
) -> None:
    path = studio(tmp_path, 2)
    steps = num_steps(path)
    assert inspector.inspect(path, "Studio", [steps]).problems == []
    assert (
        "episode 1: the episode of the seed 1 had been discarded"
        in inspector.inspect(path, "Studio", [steps + 1]).problems
    )


@pytest.mark.parametrize("name", ["frames/front", "frames/over%2Fhead/ends", "extras/value", "rewards", "infos/a%2Fb"])
def test_the_inspection_notices_a_change_of_what_only_the_studio_has(
    name: str, tmp_path: Path, inspector: Inspector
) -> None:
    path = studio(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        file[name][1] = file[name][1] + 1
    problems = inspector.inspect(path, "Studio", [num_steps(path)]).problems
    assert problems


def _tallied(finding: Finding, acknowledged: list[int]) -> Tally:
    tally = Tally("test")
    tally.add(finding, acknowledged, "here")
    return tally
