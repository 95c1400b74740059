"""Samplers: every transition right, each once, shared out among ranks, resumed exactly, in every process."""

import json
import multiprocessing
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.errors import OptionError, RecordingClosedError, SelectionError
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.training import Window
from tests.properties.strategies import PROFILE
from tests.stacking import START, StackingEnv, record_stacks
from tests.training.numbered import all_places, check_transitions, places, record_numbered, same_batches

LENGTHS = (7, 1, 4, 0, 9)
ORDERS = pytest.mark.parametrize("order", ["uniform", "chunk"])
SCRIPT = (*START, *["slide"] * 9, "jump", "slide", "end slide", "slide", "slide", "reset fill", *["slide"] * 9)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return record_numbered(tmp_path_factory.mktemp("sampler") / "a.h5", LENGTHS)


@pytest.fixture(scope="module")
def recording(numbered):
    with h5r.Recording(numbered) as recording:
        yield recording


# Right ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [None, "low_dim", "compressed", "all"])
@ORDERS
def test_every_transition_of_cartpole_is_that_of_the_recording(cartpole_path, order, cache):
    with h5r.Recording(cartpole_path) as recording:
        found = []
        for batch in recording.sampler(5, order=order, cache=cache):
            check_transitions(recording, batch)
            found += places(batch)
        assert sorted(found) == all_places(recording.lengths.tolist())


@pytest.mark.sampled(5)
@pytest.mark.parametrize("cache", [None, "low_dim", "compressed", "all"])
@ORDERS
@pytest.mark.parametrize("nest", ["", "both"])
def test_every_transition_of_stacked_frames_is_that_of_the_recording(tmp_path, nest, order, cache):
    record_stacks(tmp_path / "stacks.h5", SCRIPT, StackingEnv(nest=nest))
    with h5r.Recording(tmp_path / "stacks.h5") as recording:
        found = []
        for batch in recording.sampler(4, order=order, cache=cache):
            check_transitions(recording, batch)
            found += places(batch)
        assert sorted(found) == all_places(recording.lengths.tolist())


def test_windows_of_stacks_are_stacks_of_the_steps(tmp_path):
    record_stacks(tmp_path / "stacks.h5", SCRIPT)
    with h5r.Recording(tmp_path / "stacks.h5") as recording:
        batch = recording.sampler(6, window=Window(observations=(-2, 1))).batch(0)
        assert batch["observations"].shape == (6, 3, 4, 2, 512)
        for at, (number, step) in enumerate(places(batch)):
            expected = recording.episodes[number].observations[[max(step + each, 0) for each in (-2, -1, 0)]]
            assert (batch["observations"][at] == expected).all()


# Each once --------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(lambda lengths: sum(lengths) > 0),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from([None, Window(observations=(-2, 1)), Window(actions=(0, 3))]),
    st.sampled_from(["repeat", "drop"]),
    st.integers(0, 2),
)
@settings(PROFILE, max_examples=15)
def test_ranks_give_every_valid_transition_exactly_once(
    tmp_path_factory, lengths, batch_size, world_size, window, pad, epoch
):
    path = record_numbered(tmp_path_factory.mktemp("ranks") / "a.h5", lengths, writer="inline")
    before = 2 if pad == "drop" and window and window.observations else 0
    behind = 2 if pad == "drop" and window and window.actions else 0
    valid = [(e, t) for e, t in all_places(lengths) if before <= t < lengths[e] - behind]
    longest = max(lengths)
    fits = window is None or longest + (window.actions is None) >= 3
    with h5r.Recording(path) as recording:
        found = []
        for rank in range(world_size):
            options = {"rank": rank, "world_size": world_size, "window": window, "pad": pad}
            if not fits or len(valid) // world_size < batch_size:
                with pytest.raises(OptionError, match=r"more than the longest episode|nothing to sample|batch_size"):
                    recording.sampler(batch_size, **options)
                return
            sampler = recording.sampler(batch_size, **options)
            sampler.set_epoch(epoch)
            batches = [*sampler]
            assert len(batches) == len(sampler)
            assert all(len(places(batch)) == batch_size for batch in batches[:-1])
            found += [place for batch in batches for place in places(batch)]
        assert sorted(found) == valid


@ORDERS
def test_a_selection_gives_its_own_transitions(recording, order):
    sampler = recording.select([4, 0]).sampler(2, order=order)
    assert sorted(place for batch in sampler for place in places(batch)) == [
        (e, t) for e, t in all_places(LENGTHS) if e in (0, 4)
    ]


def test_samples_are_uniform_with_replacement(recording):
    sampler = recording.sampler(1000, replace=True, columns=["episodes", "steps"])
    counts = dict.fromkeys(all_places(LENGTHS), 0)
    for epoch in range(42):
        for place in places(sampler.batch(0, epoch=epoch)):
            counts[place] += 1
    assert sum((each - 2000) ** 2 / 2000 for each in counts.values()) < 60  # 20 degrees of freedom: 1 of 100,000


def test_the_first_place_of_an_epoch_is_uniform_without_replacement(recording):
    sampler = recording.sampler(1, columns=["episodes", "steps"])
    counts = dict.fromkeys(all_places(LENGTHS), 0)
    for epoch in range(4200):
        counts[places(sampler.batch(0, epoch=epoch))[0]] += 1
    assert sum((each - 200) ** 2 / 200 for each in counts.values()) < 60


def test_batches_with_replacement_are_full(recording):
    sampler = recording.sampler(50, replace=True)
    assert [len(places(batch)) for batch in sampler] == [50]


@ORDERS
def test_drop_last_gives_whole_batches_and_the_same_number_to_every_rank(recording, order):
    samplers = [
        recording.select([0, 4, 1]).sampler(2, rank=rank, world_size=2, drop_last=True, order=order)
        if order == "uniform"
        else recording.sampler(5, drop_last=True, order=order)
        for rank in (0, 1)
    ]
    assert len({len(each) for each in samplers}) == 1
    for sampler in samplers:
        sizes = [len(places(batch)) for batch in sampler]
        assert sizes == [sampler.options.batch_size] * len(sampler)


# In order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"order": "chunk"}, {"replace": True}, {"weights": [1, 2, 3, 4, 5]}], ids=str)
def test_a_batch_is_a_function_of_options_epoch_and_number(recording, options):
    sampler = recording.sampler(4, seed=3, **options)
    expected = [[*sampler], [*sampler]]
    assert sampler.epoch == 2
    again = recording.sampler(4, seed=3, cache="all", memory_bytes=1 << 30, **options)
    for epoch, number in [(1, 2), (0, 1), (1, 0), (0, 0)]:
        same_batches([again.batch(number, epoch=epoch)], [expected[epoch][number]])
    assert places(expected[0][0]) != places(expected[1][0])
    assert places(recording.sampler(4, seed=4, **options).batch(0)) != places(expected[0][0])


@ORDERS
@pytest.mark.parametrize("stop", [0, 1, 3, 6, 8])
def test_resuming_equals_no_interruption(recording, order, stop):
    def some(sampler, count):
        found = []
        while len(found) < count:
            found.append(next(iter(sampler)))
        return found

    expected = some(recording.sampler(4, order=order), 12)
    stopped = recording.sampler(4, order=order)
    some(stopped, stop)
    state = json.loads(json.dumps(stopped.state_dict()))
    resumed = recording.sampler(4, order=order)
    resumed.load_state_dict(state)
    same_batches(some(resumed, 12 - stop), expected[stop:])


def test_the_state_within_a_loop_names_the_batch_behind_the_one_in_hand(recording):
    sampler = recording.sampler(4)
    states = [sampler.state_dict() for _ in sampler]
    assert [(each["epoch"], each["batch"]) for each in states] == [*((0, number) for number in range(1, 6)), (1, 0)]


def test_a_loop_that_was_left_goes_on_where_it_stopped(recording):
    expected = [*recording.sampler(4)]
    sampler = recording.sampler(4)
    for _ in sampler:
        break
    same_batches([*sampler], expected[1:])


def test_reading_a_batch_by_its_number_does_not_disturb_iteration(recording):
    expected = [*recording.sampler(4)]
    sampler = recording.sampler(4)
    found = []
    for batch in sampler:
        sampler.batch(3, epoch=7)
        found.append(batch)
    same_batches(found, expected)


def test_set_epoch_begins_that_epoch(recording):
    expected = recording.sampler(4).batch(0, epoch=5)
    sampler = recording.sampler(4)
    next(iter(sampler))
    sampler.set_epoch(5)
    same_batches([next(iter(sampler))], [expected])


@pytest.mark.parametrize(
    ("options", "name"),
    [({"seed": 1}, "seed"), ({"batch_size": 5}, "batch_size"), ({"order": "chunk"}, "order")],
    ids=str,
)
def test_the_state_of_a_sampler_with_other_options_is_refused(recording, options, name):
    state = recording.sampler(4).state_dict()
    with pytest.raises(OptionError, match=f"the state is that of another sampler: {name} differ"):
        recording.sampler(**{"batch_size": 4, **options}).load_state_dict(state)


def test_a_state_of_other_episodes_or_of_no_batch_is_refused(recording):
    sampler = recording.sampler(4)
    with pytest.raises(OptionError, match="num_samples differ"):
        recording.select([0]).sampler(4).load_state_dict(sampler.state_dict())
    with pytest.raises(OptionError, match="the state names batch 6, but an epoch has 6"):
        sampler.load_state_dict({**sampler.state_dict(), "batch": 6})
    with pytest.raises(OptionError, match="another sampler"):
        sampler.load_state_dict({})


def test_wrong_numbers_of_batches_and_epochs_are_errors(recording):
    sampler = recording.sampler(4)
    with pytest.raises(IndexError, match="there is no batch 6: an epoch has 6"):
        sampler.batch(6)
    for wrong in (-1, 1.5, True):
        with pytest.raises(OptionError, match="number: expected an integer from 0 on"):
            sampler.batch(wrong)
        with pytest.raises(OptionError, match="epoch: expected an integer from 0 on"):
            sampler.set_epoch(wrong)


# Whole episodes ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 5), min_size=1, max_size=9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))
@settings(PROFILE, max_examples=10)
def test_ranks_give_every_whole_episode_exactly_once(tmp_path_factory, lengths, batch_size, world_size, epoch):
    path = record_numbered(tmp_path_factory.mktemp("episodes") / "a.h5", lengths, writer="inline")
    with h5r.Recording(path) as recording:
        if len(lengths) // world_size < batch_size:
            with pytest.raises(OptionError, match=r"batch_size: .* more than there is to sample, \d+ episodes?"):
                recording.sampler(batch_size, world_size=world_size, whole_episodes=True)
            return
        found = []
        for rank in range(world_size):
            sampler = recording.sampler(batch_size, rank=rank, world_size=world_size, whole_episodes=True)
            sampler.set_epoch(epoch)
            found += [number for batch in sampler for number in batch["episodes"].tolist()]
        assert sorted(found) == [*range(len(lengths))]


def test_whole_episodes_are_drawn_by_their_weights(recording):
    sampler = recording.sampler(2000, whole_episodes=True, weights=[3, 0, 1, 5, 0], columns=["episodes"])
    counts = np.bincount(sampler.batch(0)["episodes"])
    assert len(counts) == 3  # the fourth episode has no steps
    assert counts[1] == 0
    assert counts[0] == pytest.approx(1500, abs=100)


def test_resuming_whole_episodes_equals_no_interruption(recording):
    expected = [*recording.sampler(1, whole_episodes=True)]
    sampler = recording.sampler(1, whole_episodes=True)
    next(iter(sampler))
    resumed = recording.sampler(1, whole_episodes=True)
    resumed.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    same_batches([*resumed], expected[1:])
    with pytest.raises(OptionError, match="another sampler: num_samples, whole_episodes differ"):
        recording.sampler(1).load_state_dict(sampler.state_dict())


def test_a_sampler_of_whole_episodes_says_so(recording):
    assert repr(recording.sampler(2, whole_episodes=True)).endswith("a.h5': 4 whole episodes in batches of 2>")


# Memory -------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.sampled(2)
@pytest.mark.parametrize("options", [{}, {"order": "chunk"}, {"cache": "compressed"}, {"replace": True}], ids=str)
def test_memory_does_not_grow_with_the_number_of_batches(tmp_path, options):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [700] * 20)) as recording:
        sampler = recording.sampler(32, memory_bytes=1 << 20, **options)

        def peak_bytes(epochs):
            tracemalloc.reset_peak()
            for _ in range(epochs):
                for _ in sampler:
                    pass
            return tracemalloc.get_traced_memory()[1]

        tracemalloc.start()
        try:
            peak_bytes(1)
            once = peak_bytes(1)
            assert peak_bytes(2) < once + (100 << 10)
        finally:
            tracemalloc.stop()


# In every process -------------------------------------------------------------------------------------


def _send_batches(sampler, queue):
    queue.put([*sampler])


@pytest.mark.sampled(2)
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("cache", [None, "all"])
def test_a_sampler_gives_the_same_batches_in_another_process(recording, method, cache):
    expected = [*recording.sampler(4)]
    sampler = recording.sampler(4, cache=cache)
    next(iter(sampler))
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_send_batches, args=(sampler, queue))
    process.start()
    found = queue.get(timeout=60)
    process.join()
    same_batches(found, expected[1:])
    same_batches([*sampler], expected[1:])  # here it is where it was


def test_a_pickled_sampler_goes_on_where_it_was(recording):
    sampler = recording.select([0, 4]).sampler(4, window=Window(observations=(-1, 1)))
    next(iter(sampler))
    copy = pickle.loads(pickle.dumps(sampler))
    same_batches([*copy], [*sampler])
    assert repr(copy) == repr(sampler)


def test_a_pickled_sampler_refuses_a_file_that_has_changed_meanwhile(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5, 3])) as recording:
        pickled = pickle.dumps(recording.sampler(2))
    record_numbered(tmp_path / "a.h5", [5, 3], mode="w")
    with pytest.raises(SelectionError, match="has changed since the sampler was made"):
        pickle.loads(pickled)


@pytest.mark.parametrize("cache", [None, "low_dim", "compressed", "all"])
def test_a_closed_recording_gives_no_more_batches(cache, tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5, 3])) as recording:
        sampler = recording.sampler(2, cache=cache)
        batches = iter(sampler)
        next(batches)  # the others have been decoded with it
    with pytest.raises(RecordingClosedError):
        next(batches)
    with pytest.raises(RecordingClosedError):
        sampler.batch(0)


def test_the_arrays_of_a_batch_are_the_callers_own(recording):
    sampler = recording.sampler(4)
    expected = [*recording.sampler(4)]
    for batch, other in zip(sampler, expected, strict=True):
        same_batches([batch], [other])
        for array in (batch["actions"], batch["rewards"], batch["episodes"], batch["next_observations"]["number"]):
            array[:] = 0


def test_a_sampler_says_what_it_samples(recording):
    assert repr(recording.sampler(4)).endswith("a.h5': 21 steps in batches of 4>")


@pytest.mark.parametrize("options", [{"replace": True}, {"weights": [1] * 9}], ids=str)
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_rank_draws_the_same_number_of_batches(recording, options, drop_last):
    episode = recording.select([4])  # 9 steps: ranks have 5 and 4
    samplers = [episode.sampler(4, rank=rank, world_size=2, drop_last=drop_last, **options) for rank in (0, 1)]
    assert [[len(places(batch)) for batch in each] for each in samplers] == [[4], [4]]


def test_a_state_of_as_many_steps_of_other_episodes_is_refused(recording):
    state = recording.select([0, 4]).sampler(4).state_dict()
    with pytest.raises(OptionError, match="another sampler: episodes differ"):
        recording.select([4, 0]).sampler(4).load_state_dict(state)
    recording.select([0, 4]).sampler(4).load_state_dict(state)


def test_a_state_of_an_order_with_other_pools_is_refused(recording, monkeypatch):
    monkeypatch.setattr(ColumnReader, "chunk_rows", lambda self, name: 1)
    sampler, other = (recording.sampler(4, order="chunk", memory_bytes=each) for each in (1 << 20, 2500))
    assert places(sampler.batch(0)) != places(other.batch(0))
    with pytest.raises(OptionError, match=r"order differ.*='chunk, blocks of 4, pools of 21', and this sampler"):
        other.load_state_dict(sampler.state_dict())
    recording.sampler(4, order="chunk", cache="all").load_state_dict(sampler.state_dict())


def test_what_is_no_state_is_refused(recording):
    with pytest.raises(OptionError, match=r"expected what state_dict\(\) returns, got \[\]"):
        recording.sampler(4).load_state_dict([])
