"""Transitions by their numbers, as NumPy arrays."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import OptionError, RecordingClosedError
from gym_h5record.training import Window, transition_source
from gym_h5record.training.transition_source import TransitionSource
from tests.training.numbered import all_places, check_equal, check_transitions, places, record_numbered, values_at

LENGTHS = (7, 1, 4, 0, 9)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_numbered(tmp_path_factory.mktemp("source") / "a.h5", LENGTHS)


@pytest.fixture
def recording(numbered: Path) -> Iterator[h5r.Recording]:
    with h5r.Recording(numbered) as recording:
        yield recording


def test_the_transitions_are_those_of_the_recording_in_its_order(recording: h5r.Recording) -> None:
    source = TransitionSource(recording)
    batch = source.batch(range(len(source)))
    assert places(batch) == all_places(LENGTHS)
    check_transitions(recording, batch)
    for place in range(len(source)):
        check_equal(source[place], values_at(batch, place))


def test_several_transitions_are_those_asked_for(recording: h5r.Recording) -> None:
    source, indices = TransitionSource(recording), [5, 20, 0, 5, -1]
    for found in (source.__getitems__(indices), source._getitems(indices)):
        assert len(found) == 5
        for sample, index in zip(found, indices, strict=True):
            check_equal(sample, source[index])
    assert places(source.batch(np.array(indices)))[-1] == (4, 8)
    assert source.__getitems__([]) == []


def test_a_transition_is_no_view_of_its_batch(recording: h5r.Recording) -> None:
    sample = TransitionSource(recording).__getitems__([3, 4])[0]
    assert sample["observations"]["at"].base is None
    assert isinstance(sample["rewards"], np.float64)


def test_transitions_beyond_the_last_are_an_index_error(recording: h5r.Recording) -> None:
    source = TransitionSource(recording)
    with pytest.raises(IndexError, match="there is no transition 21: the recording has 21"):
        source[21]
    with pytest.raises(IndexError, match="there is no transition -22"):
        source.batch([3, -22])


def test_options_are_those_of_a_sampler(recording: h5r.Recording) -> None:
    options: dict[str, Any] = {"window": Window(observations=(-2, 1)), "n_step": 3, "gamma": 0.5, "pad": "drop"}
    names = ["observations/at", "rewards", "next_observations", "episodes", "steps"]
    source = TransitionSource(recording.select([4, 0]), columns=names, cache="all", **options)
    found = source.batch(range(len(source)))
    (expected,) = recording.select([4, 0]).sampler(len(source), columns=names, **options)
    assert places(found) == [(4, step) for step in range(2, 9)] + [(0, step) for step in range(2, 7)]
    for place, at in enumerate(places(found)):
        check_equal(values_at(found, place), values_at(expected, places(expected).index(at)))


def test_a_path_is_opened_and_closed_and_a_recording_stays_open(numbered: Path, recording: h5r.Recording) -> None:
    source = TransitionSource(numbered)
    check_equal(source[3], TransitionSource(recording)[3])
    source.close()
    with pytest.raises(RecordingClosedError):
        source[3]
    TransitionSource(recording).close()
    assert recording.num_steps == sum(LENGTHS)


def test_options_that_do_not_fit_leave_no_file_open(numbered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[h5r.Recording] = []
    monkeypatch.setattr(transition_source, "Recording", lambda path: opened.append(h5r.Recording(path)) or opened[0])
    with pytest.raises(OptionError, match="there is no 'nonsense'"):
        TransitionSource(numbered, columns=["nonsense"])
    with pytest.raises(RecordingClosedError):
        opened[0].steps.rewards[:]


def test_a_pickled_source_has_the_same_text_and_transitions(numbered: Path, recording: h5r.Recording) -> None:
    source = TransitionSource(numbered, n_step=2)
    copy = pickle.loads(pickle.dumps(source))
    assert repr(copy) == repr(source) == f"<TransitionSource of '{numbered}': 21 transitions>"
    source.close()  # the copy has a file of its own
    check_equal(copy[9], TransitionSource(recording, n_step=2)[9])


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from Python 3.12 on
def test_another_process_reads_the_same_transitions(recording: h5r.Recording, method: str) -> None:
    source = TransitionSource(recording)
    with multiprocessing.get_context(method).Pool(1) as pool:
        check_equal(pool.apply(source.batch, ([1, 20],)), source.batch([1, 20]))


def test_grain_shuffles_and_batches_the_transitions(recording: h5r.Recording) -> None:
    grain = pytest.importorskip("grain")
    source = TransitionSource(recording)
    found = [*grain.MapDataset.source(source).shuffle(seed=1).batch(5)]
    assert sorted(place for batch in found for place in places(batch)) == all_places(LENGTHS)
    for batch in found:
        check_transitions(recording, batch)


def test_jax_takes_the_arrays(recording: h5r.Recording) -> None:
    jax = pytest.importorskip("jax")
    batch = TransitionSource(recording).batch([4, 2])
    on_device = jax.device_put(batch["observations"])
    np.testing.assert_array_equal(np.asarray(on_device["at"]), batch["observations"]["at"])
