"""Wrong options are errors that name the option and say what was expected."""

import dataclasses
import inspect

import numpy as np
import pytest

from gym_h5record.errors import OptionError
from gym_h5record.reading.recording import Recording
from gym_h5record.reading.selection import Selection
from gym_h5record.training import Noise, Window
from gym_h5record.training.sampler_options import SamplerOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size: expected an integer from 1 on"),
        ({"batch_size": 2.0}, "batch_size: expected an integer"),
        ({"batch_size": True}, "batch_size: expected an integer"),
        ({"seed": -1}, "seed: expected an integer from 0 on"),
        ({"seed": None}, "seed: expected an integer from 0 on"),
        ({"rank": 2, "world_size": 2}, "rank: expected a number less than world_size=2"),
        ({"world_size": 0}, "world_size: expected"),
        ({"n_step": 0}, "n_step: expected"),
        ({"gamma": 1.5}, "gamma: expected a number from 0 to 1"),
        ({"gamma": "0.5"}, "gamma: expected a number from 0 to 1"),
        ({"pad": "edge"}, "pad: expected one of 'repeat', 'zero', 'drop'"),
        ({"order": "random"}, "order: expected one of 'uniform', 'chunk'"),
        ({"cache": "some"}, "cache: expected one of 'low_dim', 'compressed', 'all'"),
        ({"replace": 1}, "replace: expected True, False or None"),
        ({"memory_bytes": 0}, "memory_bytes: expected an integer from 1 on"),
        ({"window": (0, 1)}, "window: expected a gym_h5record.training.Window"),
        ({"window": Window(rewards=(0, 3)), "n_step": 2}, "n_step=2 sums the rewards"),
        ({"weights": [1], "replace": False}, "weights: .* replace must not be False"),
        ({"weights": [1], "order": "chunk"}, 'order="chunk"'),
        ({"replace": True, "order": "chunk"}, 'order="chunk"'),
        ({"drop_last": None}, "drop_last: expected True or False, got None"),
        ({"whole_episodes": 1}, "whole_episodes: expected True or False, got 1"),
        ({"whole_episodes": True, "window": Window(actions=(0, 2))}, "whole_episodes=True takes no window=Window"),
        ({"whole_episodes": True, "n_step": 3}, "whole_episodes=True takes no n_step=3: an episode has the reward"),
        ({"whole_episodes": True, "order": "chunk"}, "whole_episodes=True takes no order='chunk'"),
        ({"whole_episodes": True, "pad": "drop"}, "whole_episodes=True takes no pad='drop'"),
        ({"transforms": Noise("actions", 1)}, r"transforms: expected a list of those .*, got Noise\("),
        ({"transforms": ["noise"]}, r"transforms: expected a list of those .*, got \['noise'\]"),
        ({"weights": "high"}, "weights: expected a list or an array of numbers, got 'high'"),
    ],
    ids=str,
)
def test_a_wrong_option_is_one_clear_error(options, message):
    with pytest.raises(OptionError, match=message):
        SamplerOptions(**options)


def test_weights_draw_with_replacement_and_everything_else_does_not():
    assert SamplerOptions(weights=[1.0]).is_drawn
    assert SamplerOptions(replace=True).is_drawn
    assert not SamplerOptions().is_drawn


def test_integers_of_numpy_become_those_of_python():
    options = SamplerOptions(batch_size=np.int64(3), seed=np.uint8(4))
    assert [type(options.signature()[name]) for name in ("batch_size", "seed")] == [int, int]


def test_the_signature_tells_weights_apart():
    one, same, other = (SamplerOptions(weights=each).signature() for each in ([1, 2], np.array([1.0, 2.0]), [2, 1]))
    assert one == same != other


def test_recording_and_selection_take_exactly_these_options_with_these_defaults():
    parameters = inspect.signature(Recording.sampler).parameters
    taken = {name: each.default for name, each in parameters.items() if name != "self"}
    assert taken == {each.name: each.default for each in dataclasses.fields(SamplerOptions)}
    assert Selection.sampler is Recording.sampler


def test_weights_are_a_copy_of_those_of_the_caller():
    weights = np.ones(3)
    options = SamplerOptions(weights=weights)
    weights[0] = 7
    assert options.weights.tolist() == [1, 1, 1]
