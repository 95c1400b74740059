"""``recording.stats(cache=...)``: the same statistics without reading the steps again, never those of other steps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError, RecordingWarning
from gym_h5record.training import statistics_sidecar
from gym_h5record.training.statistics import Statistics


class Reader:
    """Counts how often the steps are read."""

    def __init__(self, function: Callable[..., Statistics]) -> None:
        self._function = function
        self.count = 0

    def __call__(self, *arguments: Any, **options: Any) -> Statistics:
        self.count += 1
        return self._function(*arguments, **options)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    reader = Reader(statistics_sidecar.read_statistics)
    monkeypatch.setattr(statistics_sidecar, "read_statistics", reader)
    return reader


def write(path: Path, lengths: tuple[int, ...] = (5, 3, 7), mode: str = "x", seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    box = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    with h5r.Writer(path, observation_space=box, action_space=spaces.Discrete(4), mode=mode, writer="inline") as writer:
        for length in lengths:
            writer.append_episode(
                observations=random.normal(size=(length + 1, 3)).astype(np.float32),
                actions=random.integers(0, 4, length),
                rewards=random.normal(size=length),
                terminations=np.arange(length) == length - 1,
                infos={"text": ["no number"] * (length + 1)},
            )
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Any:
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        yield recording


def sidecars(recording: h5r.Recording) -> list[str]:
    return sorted(each.name for each in recording.path.parent.glob("*") if each != recording.path)


def text(stats: Statistics) -> str:
    return stats.to_json()


def test_no_file_appears_without_being_asked_for(recording: h5r.Recording) -> None:
    recording.stats()
    recording.stats(cache=False)
    assert sidecars(recording) == []


def test_kept_statistics_are_the_same_and_the_steps_are_not_read_again(
    recording: h5r.Recording, reader: Reader
) -> None:
    expected = recording.stats()
    assert text(recording.stats(cache=True)) == text(recording.stats(cache=True)) == text(expected)
    assert (sidecars(recording), reader.count) == (["run.h5.stats.json"], 2)
    assert recording.stats(cache=True).skipped == expected.skipped != {}
    assert recording.stats()["rewards"].count == 15


def test_selections_and_options_have_statistics_of_their_own(recording: h5r.Recording, reader: Reader) -> None:
    some, others = recording[[0, 2]], recording[[2, 0]]
    for _ in range(2):
        assert recording.stats(cache=True).num_steps == 15
        assert some.stats(cache=True).num_steps == 12
        assert others.stats(cache=True).episodes.numbers.tolist() == [2, 0]
    assert reader.count == 3
    names = sidecars(recording)
    assert [name.count(".") for name in names] == [4, 4, 3]
    assert not recording.stats(per_episode=False, cache=True).episodes.leaves
    assert recording.stats(cache=True).episodes.leaves
    assert sidecars(recording) == names


def test_a_path_is_the_file(recording: h5r.Recording, reader: Reader, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    for cache in (other, str(other)):
        assert recording.stats(cache=cache).num_steps == 15
    assert (sidecars(recording), reader.count) == (["other.json"], 1)


def test_further_episodes_are_read(tmp_path: Path, reader: Reader) -> None:
    path = write(tmp_path / "run.h5")
    for lengths, count in (((4,), 15), ((), 19)):
        with h5r.Recording(path) as recording:
            assert recording.stats(cache=True).num_steps == count
        write(path, lengths, "a", seed=1)
    assert reader.count == 2


def test_another_recording_of_the_same_name_is_read(tmp_path: Path, reader: Reader) -> None:
    means = []
    for seed in (0, 1):
        with h5r.Recording(write(tmp_path / "run.h5", mode="w", seed=seed)) as recording:
            means.append(recording.stats(cache=True)["rewards"].mean)
    assert means[0] != means[1]
    assert reader.count == 2


def test_steps_of_a_running_episode_count(tmp_path: Path, reader: Reader) -> None:
    box = spaces.Box(-1, 1, (1,))
    with h5r.Writer(tmp_path / "run.h5", observation_space=box, action_space=box) as writer:
        writer.begin_episode(np.zeros(1, np.float32))
        writer.append(np.zeros(1, np.float32), np.ones(1, np.float32), 1.0, False, False)
        writer.flush()
        with h5r.Recording(tmp_path / "run.h5", live=True) as recording:
            assert recording.stats(cache=True)["rewards"].count == 1
            writer.append(np.zeros(1, np.float32), np.ones(1, np.float32), 1.0, False, False)
            writer.flush()
            recording.refresh()
            assert recording.stats(cache=True)["rewards"].count == 2
    assert reader.count == 2


OTHERS = {
    "text": b"my notes\n",
    "empty": b"",
    "other JSON": b"[1, 2]",
    "nested": b"[" * 100_000,
    "no statistics": b'{"kind": "gym_h5record statistics", "key": KEY, "statistics": {"statistics": 1}}',
    "other version": b'{"kind": "gym_h5record statistics", "key": KEY, "statistics": {"statistics": 2}}',
    "null": b'{"kind": "gym_h5record statistics", "key": KEY}',
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=list(OTHERS))
def test_a_file_that_is_something_else_is_named_and_left_alone(recording: h5r.Recording, content: bytes) -> None:
    path = recording.path.with_name("run.h5.stats.json")
    recording.stats(cache=True)
    content = content.replace(b"KEY", json.dumps(json.loads(path.read_bytes())["key"]).encode())
    path.write_bytes(content)
    with pytest.warns(RecordingWarning, match=r"run\.h5\.stats\.json cannot be read as statistics, and is left"):
        assert recording.stats(cache=True).num_steps == 15
    assert path.read_bytes() == content


def test_a_damaged_file_is_named(recording: h5r.Recording) -> None:
    path = recording.path.with_name("run.h5.stats.json")
    recording.stats(cache=True)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.warns(RecordingWarning, match="it is no JSON text"):
        recording.stats(cache=True)


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_what_is_no_regular_file_is_not_opened(recording: h5r.Recording, kind: str) -> None:
    path = recording.path.with_name("run.h5.stats.json")
    make: dict[str, Callable[[], Any]] = {
        "fifo": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to("/etc/passwd"),
        "directory": path.mkdir,
    }
    make[kind]()
    with pytest.warns(RecordingWarning, match="cannot be read as statistics"):
        assert recording.stats(cache=True).num_steps == 15


def test_a_file_that_is_too_large_is_not_read_or_written(
    recording: h5r.Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.stats(cache=True)
    monkeypatch.setattr(statistics_sidecar, "_MAX_BYTES", 1000)
    with pytest.warns(RecordingWarning, match="it has more than 1,000 bytes"):
        recording.stats(cache=True)
    with pytest.warns(RecordingWarning, match="more than 1,000, and are not kept"):
        recording[[0]].stats(cache=True)
    assert sidecars(recording) == ["run.h5.stats.json"]


def test_a_directory_that_cannot_be_written_is_named(recording: h5r.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(statistics_sidecar, "_write", refuse)
    with pytest.warns(RecordingWarning, match=r"stats\.json cannot be written: Permission denied\. Name a file in"):
        assert recording.stats(cache=True).num_steps == 15


def test_a_missing_directory_is_named_and_no_part_is_left(recording: h5r.Recording, tmp_path: Path) -> None:
    with pytest.warns(RecordingWarning, match="cannot be written: No such file or directory"):
        recording.stats(cache=tmp_path / "missing" / "stats.json")


def test_a_full_disk_leaves_no_part(recording: h5r.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(RecordingWarning, match="No space left on device"):
        recording.stats(cache=True)
    assert sidecars(recording) == []


@pytest.mark.parametrize("cache", [1, None, 2.5, b"x"])
def test_other_options_are_refused(recording: h5r.Recording, cache: Any) -> None:
    with pytest.raises(OptionError, match="cache: expected True, False or a path"):
        recording.stats(cache=cache)
