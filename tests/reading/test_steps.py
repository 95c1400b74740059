"""``recording.steps``: every step of every episode once, in aligned columns, and no row without a step."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.values.exact import identical
from tests.reading import NESTED, PICTURE, Reads, record
from tests.writing import Pen, pair
from tests.zoo import Played, ZooEnv, check_identical

pytestmark = pytest.mark.compacted

LENGTHS = (20, 3, 0, 20, 1)
OF_STEPS = ("actions", "rewards", "terminations", "truncations")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Played]]:
    """Episodes of 20, 3, 0, 20 and 1 steps with nested observations and infos; do not change the file."""
    path = tmp_path_factory.mktemp("steps") / "run.h5"
    infos = lambda step: {"step": step, **({"odd": "yes"} if step % 2 else {})}  # noqa: E731
    return path, record(path, ZooEnv(NESTED, rewards=(0.5, 2.0, -1.0), length=20, infos=infos), LENGTHS)


def by_episode(recording: h5r.Recording, name: str) -> list[Any]:
    """The values of a column of all episodes, one by one, without those behind the last step."""
    return [value for episode in recording for value in list(getattr(episode, name))[: episode.length]]


def test_every_column_has_the_values_of_all_steps_and_no_others(played: tuple[Path, list[Played]]) -> None:
    with h5r.Recording(played[0]) as recording:
        steps = recording.steps
        assert len(steps) == recording.num_steps == sum(LENGTHS)
        for name in ("observations", *OF_STEPS, "infos", "extras"):
            column = getattr(steps, name)
            assert len(column) == sum(LENGTHS)
            check_identical([column[step] for step in range(len(column))], by_episode(recording, name), name)
            check_identical([*column], by_episode(recording, name), f"{name}, iterated")
        following = [value for episode in recording for value in list(episode.observations)[1:]]
        check_identical([*steps.next_observations], following, "next observations")
        assert steps.times is not None
        assert steps.times.tolist() == by_episode(recording, "times")
        assert steps.frames is None


def test_items_and_slices_agree(played: tuple[Path, list[Played]]) -> None:
    with h5r.Recording(played[0]) as recording:
        steps = recording.steps
        for name in ("rewards", "terminations", "truncations"):
            column = getattr(steps, name)
            batch = column[:]
            assert (batch.shape, batch.dtype) == (column.shape, column.dtype)
            assert batch.tolist() == [getattr(value, "item", lambda value=value: value)() for value in column]
        for low, high in ((0, 44), (15, 30), (19, 21), (23, 23), (43, 44)):
            batch = steps.observations[low:high]
            assert len(batch["picture"]) == high - low
            for at, step in enumerate(range(low, high)):
                assert np.array_equal(batch["picture"][at], steps.observations[step]["picture"])
                assert batch["text"][at] == steps.observations[step]["text"]


@pytest.mark.parametrize(
    "index",
    [
        slice(None, None, -1),
        slice(18, 26, 3),
        [43, 0, 22, 22, -1],
        np.arange(44) % 5 == 0,
        (slice(10, 30), slice(2, 5), 7),
        (slice(None), [1, 2], [3, 4]),
        ([5, 1], Ellipsis, 0),
    ],
    ids=["backwards", "every third", "list", "mask", "cut", "pairs", "ellipsis"],
)
def test_indices_are_those_of_numpy(index: Any, tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(PICTURE, length=20), LENGTHS)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        steps = recording.steps
        everything = np.concatenate([episode.observations[: episode.length] for episode in recording])
        assert np.array_equal(np.asarray(steps.observations), everything)
        assert np.array_equal(steps.observations[index], everything[index])
        behind = np.concatenate([episode.observations[1:] for episode in recording])
        assert np.array_equal(steps.next_observations[index], behind[index])


def test_the_numbers_of_episodes_and_steps_belong_to_the_rows(played: tuple[Path, list[Played]]) -> None:
    with h5r.Recording(played[0]) as recording:
        steps = recording.steps
        assert steps.episodes.tolist() == [0] * 20 + [1] * 3 + [3] * 20 + [4]
        assert steps.steps.tolist() == [*range(20), *range(3), *range(20), 0]
        assert np.flatnonzero(steps.dones).tolist() == [19, 42]
        assert steps.dones.tolist() == (steps.terminations[:] | steps.truncations[:]).tolist()


def test_a_key_of_the_infos_is_a_column(played: tuple[Path, list[Played]]) -> None:
    with h5r.Recording(played[0]) as recording:
        infos = recording.steps.infos
        assert infos is not None
        expected = by_episode(recording, "infos")
        assert identical(infos[18:25], expected[18:25])
        assert infos["step"][:].tolist() == [info["step"] for info in expected]
        assert infos["step"][[30, 2]].tolist() == [expected[30]["step"], expected[2]["step"]]
        assert [*infos["odd"]] == infos["odd"][:] == [info.get("odd") for info in expected]
        assert (str(infos), str(infos["odd"])) == ("<Infos of 44 steps>", "<'odd' of infos, 44 steps>")
        with pytest.raises(KeyError, match="no row has 'even'"):
            infos["even"]


def test_a_value_that_does_not_fit_its_column_is_exact_here_too(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        for reward in (1.5, 2**53 + 1):
            pen.begin(pair(0))
            pen.step(pair(1), reward=0.5)
            with pytest.warns(RecordingWarning) if reward > 2 else nullcontext():
                pen.step(pair(2), reward=reward, terminated=True)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert identical(recording.steps.rewards[:], [0.5, 1.5, 0.5, 2**53 + 1])
        assert recording.steps.rewards[:2].tolist() == [0.5, 1.5]
        assert recording[0].rewards[:].tolist() == [0.5, 1.5]


def test_steps_of_the_running_episode_are_among_those_of_a_live_recording(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        for number in range(2):
            pen.begin(pair(10 * number))
            for step in range(3):
                pen.step(pair(10 * number + step + 1), reward=step)
        pen.flush()
        with h5r.Recording(tmp_path / "run.h5", live=True) as recording:
            assert recording.num_episodes == 1
            before = recording.steps
            assert len(before) == recording.num_steps == 6
            assert before.episodes.tolist() == [0, 0, 0, 1, 1, 1]
            assert before.observations[:, 0].tolist() == [pair(row)[0] for row in (0, 1, 2, 10, 11, 12)]
            assert before.next_observations[-1].tolist() == pair(13).tolist()
            pen.step(pair(14), reward=9)
            pen.flush()
            recording.refresh()
            assert (len(before), before.rewards[:].tolist()) == (6, [0, 1, 2, 0, 1, 2])
            assert recording.steps.rewards[:].tolist() == [0, 1, 2, 0, 1, 2, 9]


def test_making_the_columns_reads_the_index_and_no_row(played: tuple[Path, list[Played]], monkeypatch: Any) -> None:
    recording = h5r.Recording(played[0])
    recording.schema  # noqa: B018
    reads = Reads(monkeypatch)
    steps = recording.steps
    assert reads.take() == {"episodes/starts", "episodes/lengths"}
    assert str(steps) == "<Steps: 44>"
    assert str(steps.actions).startswith("<StepColumn /actions shape=(44,)")
    assert [steps.observations.shape, steps.extras is None] == [(44,), False]
    assert reads.take() == set()


def test_a_recording_without_steps_has_empty_columns(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(PICTURE), [0, 0])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        steps = recording.steps
        assert len(steps) == 0
        assert steps.observations[:].shape == steps.next_observations[:].shape == (0, 84, 84)
        assert steps.dones.shape == steps.episodes.shape == (0,)
        assert [*steps.actions] == [*recording.iter_batches(3)] == []


@pytest.mark.parametrize("name", ["dones", "times", "episodes", "steps"])
def test_arrays_that_are_kept_cannot_be_changed(name: str, played: tuple[Path, list[Played]]) -> None:
    with h5r.Recording(played[0]) as recording, pytest.raises(ValueError, match="read-only"):
        getattr(recording.steps, name)[0] = 5


def test_a_batch_has_the_columns_of_its_steps(played: tuple[Path, list[Played]]) -> None:
    with h5r.Recording(played[0]) as recording:
        steps = recording.steps
        batch = steps.batch(15, 25)
        for name in ("dones", "episodes", "steps"):
            check_identical(batch.pop(name), getattr(steps, name)[15:25], name)
        assert set(batch) == {"observations", "next_observations", *OF_STEPS}
        for name, values in batch.items():
            check_identical(values, getattr(steps, name)[15:25], name)


def test_the_pixels_of_a_batch_are_read_once(tmp_path: Path, monkeypatch: Any) -> None:
    record(tmp_path / "run.h5", ZooEnv(PICTURE, spaces.Discrete(2), length=20), LENGTHS)
    recording = h5r.Recording(tmp_path / "run.h5")
    steps = recording.steps
    calls: list[np.ndarray] = []
    take = type(recording._file.decoder).take
    monkeypatch.setattr(
        type(recording._file.decoder), "take", lambda self, node, rows: calls.append(rows) or take(self, node, rows)
    )
    batch = steps.batch(0, 23)
    pixels = [rows for rows in calls if len(rows) == 25]  # 23 steps, and the last row of two episodes
    assert len(pixels) == 1
    assert np.array_equal(batch["observations"][1], batch["next_observations"][0])
