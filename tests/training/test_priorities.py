"""Draws by priorities: as often as they say, also after they change."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.training import Window
from gym_h5record.training.priorities import PriorityOrder
from tests.properties.strategies import PROFILE
from tests.training.numbered import all_places, check_transitions, places, record_numbered, same_batches

LENGTHS = (7, 1, 4, 0, 9)


def order_of(priorities, can_be_drawn=None):
    count = len(priorities)
    return PriorityOrder(
        np.array(priorities, float), np.ones(count, bool) if can_be_drawn is None else can_be_drawn, 0, 0, 1
    )


def check_draws(order, priorities):
    """Fail unless draws are as often as these priorities say. The bound is 6 standard deviations for each."""
    priorities = np.array(priorities, float)
    found = np.bincount(order.samples(0, np.arange(20_000)), minlength=len(priorities))
    expected = 20_000 * priorities / priorities.sum()
    assert (found[priorities == 0] == 0).all()
    assert (abs(found - expected) <= 6 * np.sqrt(expected)).all()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 100])
def test_draws_are_as_often_as_the_priorities_say(count):
    priorities = np.arange(count) % 4 + (count == 1)
    check_draws(order_of(priorities), priorities)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20).filter(any), st.data())
@PROFILE
def test_after_updates_the_order_is_that_of_the_new_priorities(priorities, data):
    order = order_of(priorities)
    for _ in range(3):
        changes = data.draw(st.dictionaries(st.integers(0, len(priorities) - 1), st.integers(1, 9), max_size=8))
        order.update(np.array([*changes], np.int64), np.array([*changes.values()], float))
        for index, each in changes.items():
            priorities[index] = each
    same = order_of(priorities)
    assert (order.priorities == np.array(priorities)).all()
    assert (order.samples(1, np.arange(200)) == same.samples(1, np.arange(200))).all()
    assert order.digest() == same.digest()


@pytest.mark.parametrize("priorities", [[1, 2, 0, 0], [0, 0, 3, 0, 0], [0.1, 0.2, 0.3]], ids=str)
def test_a_draw_that_is_rounded_up_to_the_sum_gives_the_last_step_with_a_priority(monkeypatch, priorities):
    order = order_of(priorities)
    monkeypatch.setattr(order, "_drawn", lambda epoch, positions: np.ones(len(positions)))
    assert order.samples(0, np.arange(2)).tolist() == [int(np.flatnonzero(priorities)[-1])] * 2


def test_probabilities_are_the_shares_of_the_priorities():
    assert order_of([1, 0, 3]).probabilities(np.array([2, 0])).tolist() == [0.75, 0.25]


def test_the_last_of_two_priorities_of_a_step_counts():
    order = order_of([1, 1, 1])
    order.update(np.array([2, 2]), np.array([5.0, 0.5]))
    assert order.priorities.tolist() == [1, 1, 0.5]


@pytest.mark.parametrize(
    ("indices", "priorities", "message"),
    [
        ([3], [1.0], "indices: expected those in batch"),
        ([-1], [1.0], "indices: expected those in batch"),
        ([1], [1.0], "indices: expected those in batch"),
        ([0], [-1.0], "priorities: expected finite numbers"),
        ([0], [np.inf], "priorities: expected finite numbers"),
        ([0], [1.0, 2.0], "as many priorities as indices"),
        ([0.0], [1.0], "as many priorities as indices, which are integers"),
        ([0, 2], [0.0, 0.0], "all of them are zero"),
    ],
    ids=str,
)
def test_a_wrong_update_is_an_error_and_changes_nothing(indices, priorities, message):
    order = order_of([1, 2, 3], np.array([True, False, True]))
    with pytest.raises(OptionError, match=message):
        order.update(np.array(indices), np.array(priorities))
    assert order.priorities.tolist() == [1, 0, 3]
    assert (order.samples(0, np.arange(50)) == order_of([1, 0, 3]).samples(0, np.arange(50))).all()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    with h5r.Recording(record_numbered(tmp_path_factory.mktemp("priorities") / "a.h5", LENGTHS)) as recording:
        yield recording


def test_indices_of_a_batch_number_the_steps_of_all_episodes(recording):
    batch = recording.sampler(50, weights=np.arange(21), window=Window(observations=(-1, 1))).batch(0)
    assert [all_places(LENGTHS)[index] for index in batch["indices"]] == places(batch)
    assert batch["probabilities"] == pytest.approx(batch["indices"] / np.arange(21).sum())
    check_transitions(recording, recording.sampler(50, weights=np.arange(21)).batch(0))


def test_the_next_batch_is_drawn_by_the_new_priorities(recording):
    sampler = recording.sampler(4, weights=np.ones(21))
    next(iter(sampler))  # decodes more batches
    sampler.update_priorities(np.arange(21), np.arange(21) == 20)
    assert next(iter(sampler))["indices"].tolist() == [20] * 4


def test_a_replay_buffer_draws_by_new_priorities(recording):
    with h5r.ReplayBuffer(recording, weights=np.ones(21)) as buffer:
        buffer.update_priorities(np.arange(21), np.arange(21) == 5)
        assert set(buffer.sample(30)["indices"].tolist()) == {5}


@pytest.mark.parametrize("is_pickled", [False, True], ids=["state", "pickled"])
def test_a_sampler_goes_on_with_its_priorities(recording, is_pickled):
    sampler = recording.sampler(4, weights=np.ones(21))
    for batch in [next(iter(sampler)) for _ in range(3)]:
        sampler.update_priorities(batch["indices"], np.arange(4) + 0.1)
    if is_pickled:
        resumed = pickle.loads(pickle.dumps(sampler))
    else:
        state = json.loads(json.dumps(sampler.state_dict()))
        resumed = recording.sampler(4, weights=sampler.priorities)
        resumed.load_state_dict(state)
        with pytest.raises(OptionError, match="weights differ"):
            recording.sampler(4, weights=np.ones(21)).load_state_dict(state)
    same_batches([*resumed], [*sampler])


@pytest.mark.parametrize("options", [{}, {"weights": [1, 1, 1, 1, 1]}], ids=["none", "of episodes"])
def test_priorities_need_a_weight_for_each_step(recording, options):
    sampler = recording.sampler(4, **options)
    with pytest.raises(OptionError, match="made without weights"):
        sampler.update_priorities(np.array([0]), np.array([1.0]))
    with pytest.raises(OptionError, match="made without weights"):
        sampler.priorities  # noqa: B018
