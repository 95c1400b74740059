"""A value that is not in its dataset is found before the first batch."""

import warnings

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning, UnsupportedSpaceError
from gym_h5record.training import value_check

SPACE = spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Discrete(5)})


@pytest.fixture
def recording(tmp_path):
    """Two episodes. In the second one, row 6 has a value of ``a`` that does not fit."""
    good, odd = {"a": np.zeros(2, np.float32), "b": 1}, {"a": np.zeros(3, np.float32), "b": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        with h5r.Writer(tmp_path / "a.h5", observation_space=SPACE, action_space=spaces.Discrete(3)) as writer:
            for values in ([good] * 4, [good, good, odd, good]):
                writer.begin_episode(values[0], info={"lives": 3})
                for at, each in enumerate(values[1:]):
                    writer.append(1, each, 0.5, at == 2, False, info={"lives": 3})
    with h5r.Recording(tmp_path / "a.h5") as recording:
        yield recording


@pytest.mark.sampled(2)
@pytest.mark.parametrize("block_bytes", [1, 1 << 20], ids=["row by row", "at once"])
@pytest.mark.parametrize("columns", [None, ["next_observations"], ["observations/a"]])
def test_a_value_that_does_not_fit_is_an_error_that_names_leaf_and_row(recording, monkeypatch, columns, block_bytes):
    monkeypatch.setattr(value_check, "_BLOCK_BYTES", block_bytes)
    with pytest.raises(
        UnsupportedSpaceError, match="/observations/a cannot be sampled: row 6 has a value that does not"
    ):
        recording.sampler(2, columns=columns)


def test_other_leaves_and_other_episodes_can_be_sampled(recording):
    assert len(recording.sampler(2, columns=["observations/b", "actions", "rewards"]).batch(0)["actions"]) == 2
    assert len(recording.select([0]).sampler(2).batch(0)["actions"]) == 2


def test_a_row_without_a_value_is_an_error(tmp_path):
    with h5r.Writer(tmp_path / "b.h5", observation_space=SPACE["b"], action_space=spaces.Discrete(3)) as writer:
        writer.begin_episode(1, info={"lives": 3})
        for at in range(3):
            writer.append(1, 2, 0.5, False, False, info={"lives": 3} if at else {})
    with (
        h5r.Recording(tmp_path / "b.h5") as recording,
        pytest.raises(UnsupportedSpaceError, match="/infos/lives cannot be sampled: row 1 has no value"),
    ):
        recording.sampler(2, columns=["infos/lives"])
