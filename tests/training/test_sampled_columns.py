"""Which columns a batch has: those that the caller names, down to single leaves."""

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError, UnsupportedSpaceError
from gym_h5record.training.sampled_columns import choose_columns, leaves

ARM = spaces.Dict({"joint": spaces.Box(-1, 1, (2,)), "grip": spaces.Discrete(3)})
SPACE = spaces.Dict(
    {"arm": ARM, "pair": spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (3,))]), "word": spaces.Text(5)}
)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("columns") / "a.h5"
    SPACE.seed(0)
    with h5r.Writer(path, observation_space=SPACE, action_space=spaces.Discrete(3)) as writer:
        writer.begin_episode(SPACE.sample(), info={"lives": 3})
        for _ in range(5):
            writer.append(1, SPACE.sample(), 0.5, False, False, info={"lives": 3}, extras={"value": 0.25})
    with h5r.Recording(path) as recording:
        yield recording


def names(recording, wanted):
    """The leaves of each column of a batch, and the counts."""
    columns, counted = choose_columns(recording.schema, wanted)
    return {each.name: [leaf.name for leaf in leaves(each.tree)] for each in columns}, set(counted)


def test_a_column_is_named_whole_or_by_its_leaves(recording):
    wanted = ["actions", "observations/arm", "next_observations/pair/1", "infos/lives", "extras/value", "steps"]
    assert names(recording, wanted) == (
        {
            "observations": ["observations/arm/grip", "observations/arm/joint"],
            "actions": ["actions"],
            "next_observations": ["observations/pair/1"],
            "infos/lives": ["infos/lives"],
            "extras/value": ["extras/value"],
        },
        {"steps"},
    )


def test_batches_have_the_named_leaves(recording):
    batch = recording.sampler(2, columns=["observations/arm/grip", "next_observations/pair", "infos/lives"]).batch(0)
    assert list(batch) == ["observations", "next_observations", "infos/lives"]
    assert list(batch["observations"]) == ["arm"]
    assert list(batch["observations"]["arm"]) == ["grip"]
    assert [each.shape for each in batch["next_observations"]["pair"]] == [(2,), (2, 3)]
    assert batch["infos/lives"].tolist() == [3, 3]


@pytest.mark.parametrize("wanted", [None, ["observations"], ["observations/word"]], ids=["usual", "column", "leaf"])
def test_values_that_vary_in_size_are_an_error_that_names_the_leaf(recording, wanted):
    with pytest.raises(UnsupportedSpaceError, match="/observations/word cannot be sampled"):
        choose_columns(recording.schema, wanted)


@pytest.mark.parametrize("wrong", ["observation", "observations/arm/elbow", "frames", "infos/other", "", "dones/a"])
def test_an_unknown_column_is_an_error_that_lists_the_others(recording, wrong):
    with pytest.raises(OptionError, match=r"there is no .* observations/arm/grip"):
        choose_columns(recording.schema, ["actions", wrong])


@pytest.mark.parametrize("wrong", ["actions", 5], ids=str)
def test_what_is_no_list_of_names_is_an_error(recording, wrong):
    with pytest.raises(OptionError, match="expected a list of names"):
        choose_columns(recording.schema, wrong)


def test_a_batch_without_columns_is_an_error(recording):
    with pytest.raises(OptionError, match="at least one name"):
        choose_columns(recording.schema, [])


def test_frames_that_are_the_observations_are_a_column_too(tmp_path):
    space = spaces.Box(0, 255, (4, 4, 3), np.uint8)
    with h5r.Writer(tmp_path / "a.h5", observation_space=space, action_space=spaces.Discrete(3)) as writer:
        writer.begin_episode(space.sample(), frame=space.sample())
        for _ in range(5):
            writer.append(1, space.sample(), 0.5, False, False, frame=space.sample())
    with h5r.Recording(tmp_path / "a.h5") as recording:
        batch = recording.sampler(4, columns=["frames", "steps"]).batch(0)
        assert (batch["frames"] == recording.steps.frames[batch["steps"]]).all()
