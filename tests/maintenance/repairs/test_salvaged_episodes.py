"""``SalvagedEpisodes``: rows, of which some are lost, become episodes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gym_h5record.format.names import Origin
from gym_h5record.maintenance.repairs.damaged_recording import ReadableRow, Span
from gym_h5record.maintenance.repairs.salvaged_episodes import OnProgress, SalvagedEpisodes


class Source:
    """Stands for a ``DamagedRecording``. A row is a character: o steps on, T ends its episode, | is last, x is lost."""

    def __init__(self, rows: str, observations: str = "") -> None:
        self.num_rows = len(rows)
        self._rows = rows
        self._observations = observations or [*range(len(rows))]

    def row(self, number: int) -> ReadableRow | None:
        kind = self._rows[number]
        if kind == "x":
            return None
        outcome = (1.0, kind == "T", False) if kind != "|" else (None, None, None)
        return ReadableRow(self._observations[number], None, {}, None, 0, {}, outcome, is_last=kind == "|")


class Log:
    """A sink that remembers what it was given: observations and origins of episodes, and how many have ended."""

    def __init__(self) -> None:
        self.episodes: list[list[Any]] = []
        self.origins: list[Origin] = []
        self.ids: list[int] = []
        self.ended = 0

    def begin(self, row: ReadableRow, begin: dict[str, Any]) -> None:
        assert self.ended == len(self.episodes)
        self.episodes.append([row.observation])
        self.origins.append(Origin(begin["columns"]["origins"]))
        self.ids.append(begin["columns"]["ids"])

    def step(self, before: ReadableRow, row: ReadableRow) -> None:
        assert self.episodes[-1][-1] == before.observation
        self.episodes[-1].append(row.observation)

    def end(self) -> None:
        self.ended += 1


def put(
    source: Source, *spans: tuple[range, Any], on_progress: OnProgress | None = None
) -> tuple[Log, SalvagedEpisodes]:
    """Give spans of rows, each with the episode that the index says they are, to a sink."""
    log = Log()
    episodes = SalvagedEpisodes(log)
    for rows, episode in spans or ((range(source.num_rows), None),):
        episodes.put(source, Span(rows, episode), on_progress)  # type: ignore[arg-type]
    assert log.ended == len(log.episodes) == episodes.count
    assert sum(map(len, log.episodes)) == episodes.rows
    return log, episodes


def entry(origin: Origin = Origin.RESET, number: int = 0) -> Any:
    """What the index has of an episode."""
    return SimpleNamespace(origin=origin, episode_id=number, seed=None, options=None, snapshot={})


def test_an_episode_without_a_lost_row_stays_whole() -> None:
    log, episodes = put(Source("oT|"), (range(3), entry(number=7)))
    assert (log.episodes, log.origins, log.ids) == ([[0, 1, 2]], [Origin.RESET], [7])
    assert (episodes.rows, episodes.count, episodes.whole) == (3, 1, 1)


def test_around_a_lost_row_an_episode_becomes_two_of_which_none_is_whole() -> None:
    log, episodes = put(Source("ooxo|"), (range(5), entry()))
    assert (log.episodes, log.origins) == ([[0, 1], [3, 4]], [Origin.RESET, Origin.STEP_TRIGGER])
    assert (episodes.rows, episodes.count, episodes.whole) == (4, 2, 0)


def test_without_an_index_last_rows_tell_episodes_apart() -> None:
    log, episodes = put(Source("o|oT||"))
    assert (log.episodes, log.origins) == ([[0, 1], [2, 3, 4], [5]], [Origin.RESET] * 3)
    assert (log.ids, episodes.whole) == ([0, 1, 2], 3)


def test_a_step_that_ends_the_episode_ends_it_even_if_its_last_row_says_otherwise() -> None:
    log, episodes = put(Source("oToo"))
    assert (log.episodes, log.origins) == ([[0, 1, 2], [3]], [Origin.RESET, Origin.STEP_TRIGGER])
    assert episodes.whole == 0


@pytest.mark.parametrize(
    ("rows", "observations", "origin"),
    [
        ("o|o|", "abbc", Origin.AFTER_DONE),
        ("o|o|", "abxc", Origin.STEP_TRIGGER),  # another observation than the last one
        ("oxo|", "abbc", Origin.STEP_TRIGGER),  # the last row is lost
    ],
)
def test_an_episode_after_the_end_of_one_keeps_its_origin_only_if_it_repeats_the_last_row(
    rows: str, observations: str, origin: Origin
) -> None:
    log, _ = put(Source(rows, observations), (range(2), entry()), (range(2, 4), entry(Origin.AFTER_DONE, 1)))
    assert log.origins[-1] is origin


def test_parts_of_an_entry_that_cannot_be_read_have_defaults() -> None:
    class Damaged:
        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    log, episodes = put(Source("o|o|"), (range(2), entry(number=4)), (range(2, 4), Damaged()))
    assert (log.origins, log.ids, episodes.whole) == ([Origin.RESET] * 2, [4, 5], 2)


def test_progress_is_told_every_256_rows_and_may_stop_it() -> None:
    told: list[tuple[int, int]] = []
    put(Source("o" * 600), on_progress=lambda done, rows: told.append((done, rows)))
    assert told == [(0, 600), (256, 600), (512, 600)]

    def stop(done: int, rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(Source("oo"), on_progress=stop)
