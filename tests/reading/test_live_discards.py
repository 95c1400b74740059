"""A reader that follows a recording sees no row of an episode that has been discarded, once it has refreshed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from tests.writing import each_writer
from tests.zoo import check_identical

SPACE = spaces.Dict(
    number=spaces.Box(0, 1e9, (2,), np.int64),
    text=spaces.Text(60, min_length=0),
    picture=spaces.Box(0, 255, (64, 64), np.uint8),  # sixteen in a compressed chunk
)
ACTIONS = spaces.Discrete(1 << 40)


class Author:
    """Writes episodes whose values all follow from the number of the episode and of the row."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.writer = h5r.Writer(path, observation_space=SPACE, action_space=ACTIONS, **options)
        self.number = -1

    def begin(self) -> None:
        self.number += 1
        self.step_number = 0
        self.writer.begin_episode(observe(self.number, 0), inform(self.number, 0), seed=self.number)

    def step(self, steps: int = 1, *, ends: bool = False) -> None:
        for step in range(1, steps + 1):
            self.step_number += 1
            self.writer.append(
                np.int64(self.number),
                observe(self.number, self.step_number),
                reward(self.number, self.step_number),
                ends and step == steps,
                False,
                inform(self.number, self.step_number),
                extras={"why": f"{self.number} {self.step_number}"},
            )


def observe(number: int, row: int) -> dict[str, Any]:
    picture = np.random.default_rng([number, row]).integers(0, 256, (64, 64), np.uint8)
    return {"number": np.array([number, row]), "text": f"{number}x" * (row % 9), "picture": picture}


def inform(number: int, row: int) -> dict[str, Any]:
    return {"x": number + row / 1000, **({"note": f"{number} {row}"} if row % 3 else {})}


def reward(number: int, step: int) -> float:
    return number + step / 7


def check_rows(recording: h5r.Recording, start: int, number: int, count: int) -> None:
    """Fail unless these rows of a recording are the first ones of an episode."""
    for row in range(count):
        check_identical(recording.rows.observations[start + row], observe(number, row), f"observation {number} {row}")
        check_identical(recording.rows.infos[start + row], inform(number, row), f"info {number} {row}")


def check_episode(episode: h5r.Episode, number: int) -> None:
    steps = range(1, episode.length + 1)
    assert episode.seed == number
    assert list(episode.rewards) == [reward(number, step) for step in steps]
    assert episode.total_reward == sum((reward(number, step) for step in steps), 0.0)
    assert list(episode.actions) == [number] * episode.length
    assert list(episode.extras) == [{"why": f"{number} {step}"} for step in steps]
    for row, (observation, info) in enumerate(zip(episode.observations, episode.infos, strict=True)):
        check_identical(observation, observe(number, row), f"observation {number} {row}")
        check_identical(info, inform(number, row), f"info {number} {row}")


def check(recording: h5r.Recording, ended: list[tuple[int, int]], running: tuple[int, int] | None = None) -> None:
    """Fail unless a recording shows these episodes and the rows of this running one: their numbers, steps or rows."""
    recording.refresh()
    assert [(episode.seed, episode.length) for episode in recording.episodes] == ended
    for episode, (number, _) in zip(recording.episodes, ended, strict=True):
        check_episode(episode, number)
    ended_rows = sum(length + 1 for _, length in ended)
    number, count = running or (0, 0)
    assert recording.num_rows == ended_rows + count
    check_rows(recording, ended_rows, number, count)


def followed(path: Path, **options: Any) -> tuple[Author, h5r.Recording, Callable[[], None]]:
    """An author who has written an episode, a reader of it, and what flushes the one for the other."""
    author = Author(path, flush_interval_s=3600, **options)
    author.begin()
    author.step(5, ends=True)
    author.writer.flush()
    return author, h5r.Recording(path, live=True), author.writer.flush


@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("length", [1, 10, 26, 60])
def test_a_running_episode_that_is_discarded_is_gone_and_the_next_one_takes_its_rows(
    length: int, writer: str, tmp_path: Path
) -> None:
    author, recording, flush = followed(tmp_path / "run.h5", writer=writer)
    with recording:
        author.begin()
        author.step(length)
        flush()
        check(recording, [(0, 5)], running=(1, length + 1))  # it has now read all of its rows
        author.writer.discard_episode()
        flush()
        check(recording, [(0, 5)])
        author.begin()
        author.step(12)
        flush()
        check(recording, [(0, 5)], running=(2, 13))
        author.step(40, ends=True)
        flush()
        check(recording, [(0, 5), (2, 52)])
        author.writer.close()
        check(recording, [(0, 5), (2, 52)])
        assert not recording.is_live


@pytest.mark.sampled(5)
@each_writer
@pytest.mark.parametrize("lengths", [(9, 4), (4, 9), (60, 2), (2, 60), (30, 30)])
def test_an_episode_that_has_ended_and_is_discarded_is_gone_and_the_next_one_takes_its_entry(
    lengths: tuple[int, int], writer: str, tmp_path: Path
) -> None:
    author, recording, flush = followed(tmp_path / "run.h5", writer=writer)
    with recording:
        author.begin()
        author.step(lengths[0], ends=True)
        flush()
        check(recording, [(0, 5), (1, lengths[0])])
        author.writer.discard_episode()
        author.begin()
        author.step(lengths[1], ends=True)
        flush()
        check(recording, [(0, 5), (2, lengths[1])])  # as many episodes as before
        author.writer.discard_episode()
        flush()
        check(recording, [(0, 5)])
        author.writer.close()
        check(recording, [(0, 5)])


@pytest.mark.long
@pytest.mark.sampled(2)
@pytest.mark.parametrize("compression", ["gzip", None])
@pytest.mark.parametrize("seed", range(2))
def test_every_refresh_shows_what_is_kept_whatever_is_discarded(
    seed: int, compression: str | None, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    author, recording, flush = followed(tmp_path / "run.h5", writer="inline", compression=compression, checksum=True)
    ended: list[tuple[int, int]] = [(0, 5)]
    with recording:
        for _ in range(8):
            author.begin()
            for _ in range(chance.randint(0, 2)):
                author.step(chance.randint(1, 25))
                flush()
                check(recording, ended, running=(author.number, author.step_number + 1))
            author.step(chance.randint(1, 25), ends=True)
            flush()
            kept = chance.random() < 0.4
            check(recording, [*ended, (author.number, author.step_number)])
            if kept:
                ended.append((author.number, author.step_number))
            else:
                author.writer.discard_episode()
                if chance.random() < 0.5:
                    flush()
                    check(recording, ended)
        author.writer.close()
        check(recording, ended)
        assert h5r.validate(tmp_path / "run.h5", deep=True) == []


def test_a_reader_that_does_not_know_of_a_discard_yet_sees_whole_rows_and_the_kept_episodes(tmp_path: Path) -> None:
    """Between two refreshes, rows may become those of the next episode. No row is a mixture, nothing is an error."""
    author, recording, flush = followed(tmp_path / "run.h5", writer="inline")
    with recording:
        author.begin()
        author.step(40, ends=True)
        flush()
        recording.refresh()
        author.writer.discard_episode()
        author.begin()
        author.step(20)
        flush()
        kept, gone = recording.episodes
        check_episode(kept, 0)
        for row, observation in enumerate(gone.observations):
            number = int(observation["number"][0])
            check_identical(observation["number"], np.array([number, row]), f"row {row}")
            assert number in (1, 2)
            assert any((observation["picture"] == observe(each, row)["picture"]).all() for each in (1, 2))
        check(recording, [(0, 5)], running=(2, 21))
    author.writer.close()


def test_a_reader_that_never_waits_finds_all_episodes_but_the_newest_right(tmp_path: Path) -> None:
    author = Author(tmp_path / "run.h5", flush_interval_s=0.001)
    author.begin()
    author.step(5, ends=True)
    author.writer.flush()
    kept = [0]

    def write() -> None:
        chance = random.Random(0)
        for _ in range(60):
            author.begin()
            author.step(chance.randint(1, 40), ends=chance.random() < 0.7)
            if chance.random() < 0.5:
                author.writer.discard_episode()
            else:
                kept.append(author.number)
        author.writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    with h5r.Recording(tmp_path / "run.h5", live=True) as recording:
        is_live, looks = True, 0
        while is_live:
            is_live = recording.refresh()
            looks += 1
            for episode in recording.episodes[-4:-1]:
                check_episode(episode, kept[episode.number])
        thread.join()
        recording.refresh()
        assert [episode.seed for episode in recording.episodes] == kept
        check_episode(recording.episodes[-1], kept[-1])
    assert looks > 1
