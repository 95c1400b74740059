"""Recordings and selections as sequences of episodes; choosing, splitting and batches."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError, SelectionError
from tests.reading import NESTED, Reads, record, write_ones
from tests.zoo import ZooEnv, check_identical

LENGTHS = [10, 4, 0, 10, 1, 10]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes 0, 3 and 5 terminated, the others were cut short; one mask. Do not change it."""
    where = tmp_path_factory.mktemp("selection") / "run.h5"
    record(where, ZooEnv(spaces.Box(0, 9, (2,), np.float32), rewards=(0.5,), length=10), LENGTHS)
    h5r.add_mask(where, "train", [0, 1, 3])
    return where


@pytest.fixture
def recording(path: Path) -> Any:
    with h5r.Recording(path) as recording:
        yield recording


# A sequence ---------------------------------------------------------------------------------------


def test_a_recording_is_a_sequence_of_its_episodes(recording: Any) -> None:
    assert isinstance(recording, Sequence)
    assert len(recording) == recording.num_episodes == 6
    assert [each.number for each in recording] == [each.number for each in recording.episodes] == [*range(6)]
    assert [each.number for each in reversed(recording)] == [5, 4, 3, 2, 1, 0]
    assert (recording[0].number, recording[-1].number, recording[np.int64(2)].number) == (0, 5, 2)


INDICES = [
    slice(-3, None),
    slice(None, None, -2),
    slice(9, 3),
    [0, 5],
    [-1, 0, 0],
    [],
    np.array([2, 1], np.uint8),
    range(4, 0, -2),
    np.array([True, False, False, True, True, False]),
    [True, False, False, True, True, False],
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_some_episodes_are_those_that_numpy_would_take(index: Any, recording: Any) -> None:
    expected = np.arange(6)[np.array(index, np.int64) if isinstance(index, list) and not index else index].tolist()
    for each in (recording[index], recording.episodes[index]):
        assert [episode.number for episode in each] == expected
        assert len(each) == len(expected)
    some = recording[index]
    assert isinstance(some, h5r.Selection)
    assert some.numbers.tolist() == expected
    assert some.lengths.tolist() == [LENGTHS[number] for number in expected]
    assert some.returns.tolist() == [LENGTHS[number] / 2 for number in expected]
    assert (some.num_episodes, some.num_steps) == (len(expected), sum(LENGTHS[number] for number in expected))


@pytest.mark.parametrize("index", [6, -7, [0, 6], [-7], [True], np.ones(7, bool)], ids=repr)
def test_an_episode_that_is_not_there_is_an_index_error(index: Any, recording: Any) -> None:
    for each in (recording, recording.episodes, recording[:]):
        with pytest.raises(IndexError, match=r"there are 6"):
            each[index]


@pytest.mark.parametrize("index", [1.0, "0", None, (0,), [1.5], [[0]], [0, [1]], np.zeros((2, 2), int)], ids=repr)
def test_what_is_no_index_is_a_type_error(index: Any, recording: Any) -> None:
    for each in (recording, recording.episodes, recording[:]):
        with pytest.raises(TypeError, match="episodes are chosen by"):
            each[index]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint64])
def test_numbers_of_a_small_type_find_episodes_among_more_than_it_counts(dtype: Any, tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(9), rewards=(0.5,), length=1), [1] * 300)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        index = np.array([100, 0], dtype)
        for each in (recording[index], recording.select(index), recording[:]):
            assert each.numbers[:2].tolist() == ([100, 0] if len(each) == 2 else [0, 1])
        if index.dtype.kind == "i":
            assert recording[-index].numbers.tolist() == recording.select(-index).numbers.tolist() == [200, 0]


def test_positions_of_a_selection_are_its_own_and_numbers_those_of_the_recording(recording: Any) -> None:
    some = recording[[5, 3, 1]]
    assert (some[0].number, some[-1].number) == (5, 1)
    assert some[1:].numbers.tolist() == [3, 1]
    assert some.select([1, 5]).numbers.tolist() == [1, 5]
    assert str(some) == f"<Selection from {str(recording.path)!r}: 3 episodes, 24 steps>"


def test_the_numbers_are_the_callers_own(recording: Any) -> None:
    for each in (recording, recording[1:]):
        before = each.numbers.tolist()
        each.numbers[:] = 99
        assert each.numbers.tolist() == before


# Choosing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ("train", [0, 1, 3]),
        ("complete", [0, 3, 5]),
        ("total_reward > 2 and not complete", []),
        ("not complete and length < 5", [1, 2, 4]),
        ("seed >= 0", [0, 2, 4]),
        ("number % 2 == 1", [1, 3, 5]),
        (lambda episode: episode.length == 4, [1]),
        ([4, 0], [4, 0]),
        ([-1, -6], [5, 0]),
        ((3,), [3]),
        (range(2, 4), [2, 3]),
        ([], []),
        (np.array([2, 2]), [2, 2]),
        (np.arange(6) > 3, [4, 5]),
        ([False] * 5 + [True], [5]),
    ],
    ids=lambda each: "a function" if callable(each) else str(each),
)
def test_episodes_are_selected_by(choice: Any, numbers: list[int], recording: Any) -> None:
    assert recording.select(choice).numbers.tolist() == numbers


def test_selections_and_episodes_can_be_given_back(recording: Any) -> None:
    assert recording.select(recording[[3, 1]]).numbers.tolist() == [3, 1]
    best = sorted(recording, key=lambda episode: episode.length)[:2]
    assert recording.select(best).numbers.tolist() == [2, 4]


def test_a_selection_is_selected_from_again(recording: Any) -> None:
    some = recording.select("length > 0")
    assert some.numbers.tolist() == [0, 1, 3, 4, 5]
    assert some.select("complete").numbers.tolist() == [0, 3, 5]
    assert some.select("train").select("complete").numbers.tolist() == [0, 3]
    assert some.select(np.arange(5) == 3).numbers.tolist() == [4]
    assert some.masks["train"].tolist() == [0, 1, 3]
    assert some[2:].masks["train"].tolist() == [3]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("trian", r"has no mask 'trian' \(masks: train\), and as a condition: there is no 'trian'"),
        ("my-mask", r"has no mask 'my-mask'"),
        ("lenght > 3", r"^there is no 'lenght'"),
        ([0, 6], r"there is no episode 6 to select: .* has 6 episodes"),
        ([-7], r"there is no episode -7"),
    ],
    ids=["name", "dash", "condition", "number", "negative"],
)
def test_what_cannot_be_selected_is_said(choice: Any, message: str, recording: Any) -> None:
    with pytest.raises(SelectionError, match=message):
        recording.select(choice)


def test_a_selection_from_another_file_cannot_be_selected(path: Path, tmp_path: Path, recording: Any) -> None:
    with h5r.Recording(shutil.copy(path, tmp_path / "other.h5")) as other:
        with pytest.raises(SelectionError, match=r"episodes of .*other\.h5, not of .*run\.h5"):
            recording.select(other.select("complete"))
        assert recording.select(other.select("complete").numbers).numbers.tolist() == [0, 3, 5]


def test_an_episode_outside_of_a_selection_cannot_be_selected_from_it(recording: Any) -> None:
    with pytest.raises(SelectionError, match=r"there is no episode 0 to select: <Selection from"):
        recording[1:].select([1, 0])


@pytest.mark.parametrize("choice", [3, 2.5, None, [0.5], [0, [1]], np.zeros((2, 2), int), ["train"]], ids=repr)
def test_what_selects_nothing_is_a_type_error(choice: Any, recording: Any) -> None:
    with pytest.raises(TypeError, match="episodes are selected by"):
        recording.select(choice)


def test_selecting_by_a_condition_reads_only_its_columns(path: Path, monkeypatch: Any) -> None:
    recording = h5r.Recording(path)
    recording.schema  # noqa: B018
    reads = Reads(monkeypatch)
    some = recording.select("total_reward > 1 and complete")
    assert reads.take() == {"episodes/returns", "episodes/complete"}
    assert some.num_episodes == 3
    assert reads.take() == set()


def test_a_hundred_thousand_episodes_are_selected_from_at_once(tmp_path: Path) -> None:
    write_ones(tmp_path / "run.h5", 100_000)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        some = recording.select("number % 1000 == 7 and terminated")
        assert some.num_episodes == 100
        assert some.steps.observations[:, 0].tolist() == [2 * number for number in some.numbers]
        assert some.steps.next_observations[-1].tolist() == [2 * 99_007 + 1]


# Splitting ----------------------------------------------------------------------------------------


def test_a_split_is_by_episode_and_always_the_same(recording: Any) -> None:
    parts = recording.split({"train": 0.5, "valid": 0.34}, seed=3)
    assert [part.num_episodes for part in parts.values()] == [3, 2]
    train, valid = (set(part.numbers.tolist()) for part in parts.values())
    assert not train & valid
    again = recording.split({"train": 0.5, "valid": 0.34}, seed=3)
    assert [part.numbers.tolist() for part in again.values()] == [part.numbers.tolist() for part in parts.values()]
    assert all(np.all(np.diff(part.numbers) > 0) for part in parts.values())
    others = {tuple(recording.split({"train": 0.5}, seed=seed)["train"].numbers) for seed in range(10)}
    assert len(others) > 3


def test_an_episode_that_was_chosen_twice_is_in_one_part(recording: Any) -> None:
    parts = recording[[0, 1, 0, 1, 5]].split({"a": 0.5, "b": 0.5})
    found = [set(part.numbers.tolist()) for part in parts.values()]
    assert not found[0] & found[1]
    assert sorted(np.concatenate([part.numbers for part in parts.values()])) == [0, 0, 1, 1, 5]


def test_fractions_that_are_too_many_are_refused(recording: Any) -> None:
    with pytest.raises(OptionError, match="at most 1"):
        recording.split({"train": 0.8, "valid": 0.3})


# Steps and batches --------------------------------------------------------------------------------


def test_steps_of_a_selection_are_those_of_its_episodes_in_its_order(recording: Any) -> None:
    some = recording[[4, 2, 0]]
    expected = np.concatenate([recording[number].observations[:-1] for number in (4, 0)])
    assert np.array_equal(some.steps.observations[:], expected)
    assert some.steps.episodes.tolist() == [4] + [0] * 10
    assert some.steps.steps.tolist() == [0, *range(10)]


@pytest.mark.parametrize("size", [1, 7, 10, 1000], ids=str)
def test_batches_are_the_steps_in_their_order(size: int, recording: Any) -> None:
    for each in (recording, recording[[5, 1]]):
        batches = [*each.iter_batches(size)]
        sizes = [len(batch["actions"]) for batch in batches]
        assert sizes[:-1] == [size] * (len(sizes) - 1)
        assert sum(sizes) == each.num_steps
        for name in batches[0]:
            found = np.concatenate([batch[name] for batch in batches])
            check_identical(found, np.asarray(getattr(each.steps, name)[:]), name)
        assert set(batches[0]) == {
            *("observations", "actions", "rewards", "next_observations"),
            *("terminations", "truncations", "dones", "episodes", "steps"),
        }


def test_batches_of_dicts_are_dicts_of_batches(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, spaces.Discrete(3), length=20), [20, 3])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        first = next(recording.iter_batches(5))
        assert first["observations"]["picture"].shape == (5, 84, 84)
        assert [part.shape for part in first["next_observations"]["pair"]] == [(5,), (5, 2)]
        expected = [recording[0].observations[row]["text"] for row in range(1, 6)]
        assert first["next_observations"]["text"] == expected


def test_values_of_a_batch_may_be_changed_one_by_one(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Sequence(spaces.Box(0, 9, (2,), np.float32)), length=20), [20])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        batch = next(recording[[0, 0]].iter_batches(40))
        values = [*batch["observations"], *batch["next_observations"]]
        arrays = [array for value in values for array in value]
        assert len({id(array) for array in arrays}) == len(arrays) > 0


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "3", None], ids=repr)
def test_the_size_of_a_batch_is_a_positive_number(size: Any, recording: Any) -> None:
    with pytest.raises(OptionError, match="positive number of steps"):
        recording.iter_batches(size)


@pytest.mark.parametrize("name", ["observations", "actions", "rewards", "dones"])
def test_a_column_that_would_mix_padding_in_is_refused_with_advice(name: str, recording: Any) -> None:
    for episodes in (recording, recording[1:]):
        with pytest.raises(AttributeError, match=rf"no attribute '{name}'; recording\.steps\.{name} has"):
            getattr(episodes, name)
