"""Windows that are turned round are the recorded ones backwards, with their masks; other columns are refused."""

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.training import LeafForm, TimeReversal, Window
from tests.training.numbered import places

COLUMNS = ["observations/velocity", "actions", "episodes", "steps"]
WINDOW = Window(observations=(0, 4), actions=(0, 3))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Two episodes of 20 steps: a velocity is its row, and so is an action."""
    path = tmp_path_factory.mktemp("reversal") / "a.h5"
    box = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    with h5r.Writer(path, observation_space=spaces.Dict({"velocity": box}), action_space=box) as writer:
        for first in (1, 22):
            rows = np.arange(first, first + 21, dtype=np.float32)[:, None]
            writer.append_episode(
                observations={"velocity": rows}, actions=rows[:-1], rewards=rows[:-1, 0].astype(np.float64),
                terminations=None, truncations=None,
            )  # fmt: skip
    with h5r.Recording(path) as recording:
        yield recording


def test_a_window_that_is_turned_round_is_the_recorded_one_backwards_with_its_mask(recording):
    plain, turned = (
        recording.sampler(40, window=WINDOW, columns=COLUMNS, transforms=each).batch(0)
        for each in ((), [TimeReversal(negated=["observations/velocity", "actions"])])
    )
    assert places(turned) == places(plain)
    backwards = turned["actions"][:, 0, 0] < 0
    assert 10 < backwards.sum() < 30
    for name, found, expected in (
        ("observations", turned["observations"]["velocity"], plain["observations"]["velocity"]),
        ("actions", turned["actions"], plain["actions"]),
    ):
        assert (found[~backwards] == expected[~backwards]).all()
        assert (found[backwards] == -expected[backwards][:, ::-1]).all()
        assert (turned["mask"][name][backwards] == plain["mask"][name][backwards][:, ::-1]).all()
        assert (turned["mask"][name][~backwards] == plain["mask"][name][~backwards]).all()
    assert not turned["mask"]["actions"].all()


@pytest.mark.parametrize(("probability", "count"), [(0, 0), (1, 40)])
def test_probability_says_how_many_are_turned_round(recording, probability, count):
    reversal = TimeReversal(negated="actions", probability=probability)
    batch = recording.sampler(40, window=WINDOW, columns=COLUMNS, transforms=[reversal]).batch(0)
    assert (batch["actions"][:, 0, 0] < 0).sum() == count
    assert (batch["observations"]["velocity"] > 0).all()


@pytest.mark.parametrize(
    ("options", "negated", "message"),
    [
        (
            {"columns": [*COLUMNS, "next_observations"]},
            (),
            "next_observations/velocity would be wrong in a window that runs backwards",
        ),
        ({"columns": [*COLUMNS, "dones"]}, (), "dones would be wrong"),
        ({"columns": [*COLUMNS, "rewards"]}, (), "rewards has no window: give it one, or leave it out"),
        ({"columns": COLUMNS}, "observations", "there is no leaf 'observations' in a batch"),
    ],
    ids=["next", "flag", "window", "name"],
)
def test_a_batch_that_would_be_wrong_backwards_is_an_error(recording, options, negated, message):
    with pytest.raises(OptionError, match=f"TimeReversal: {message}"):
        recording.sampler(4, window=WINDOW, transforms=[TimeReversal(negated)], **options)


def test_whole_episodes_are_not_turned_round(recording):
    with pytest.raises(OptionError, match="TimeReversal: actions has no window"):
        recording.sampler(2, whole_episodes=True, columns=["actions"], transforms=[TimeReversal()])


def test_what_has_no_sign_cannot_be_negated():
    forms = {"frames": LeafForm(np.dtype(np.uint8), (8, 8), "window")}
    with pytest.raises(OptionError, match="TimeReversal: frames has values of uint8, which have no sign"):
        TimeReversal("frames").fit(forms)
    assert TimeReversal().fit(forms) == forms


@pytest.mark.parametrize("probability", [-0.1, 1.5, "often", None], ids=str)
def test_a_wrong_probability_is_an_error(probability):
    with pytest.raises(OptionError, match="TimeReversal: probability expects a number from 0 to 1"):
        TimeReversal(probability=probability)
