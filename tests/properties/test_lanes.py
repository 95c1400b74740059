"""Property: whatever happens in lanes, each lane of the file has exactly its rows, and the index its episodes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.format.nodes import Stack
from gym_h5record.values.exact import identical
from gym_h5record.writing.journal_control import Control
from tests.properties.strategies import PROFILE
from tests.writing import open_live, small_journal
from tests.writing.lane_pen import LanePen, lane_schema

MOST_LANES = 4
NUMBER = spaces.Box(0, 1e9, (1,), np.float64)
SPACES: dict[str, tuple[spaces.Space[Any], spaces.Space[Any]]] = {
    "small": (NUMBER, NUMBER),  # many lanes and rows in a chunk
    "large": (spaces.Box(0, 1e9, (900,), np.float64), spaces.Box(0, 1e9, (400,), np.float64)),  # 16 and 32 in a chunk
    "texts": (spaces.Sequence(spaces.Text(9, min_length=0)), spaces.Text(9)),  # nested ends; ends of steps
    "pictures": (spaces.Sequence(spaces.Box(0, 255, (70, 70), np.uint8)), NUMBER),  # ragged items, one in a chunk
    "stacks": (spaces.Box(0, 1e9, (3, 1), np.float64), NUMBER),
}
ENTRY = ("envs", "starts", "lengths", "returns", "complete", "ids")
"""Columns of the index that do not change once an episode has ended."""


def observation(kind: str, number: int) -> Any:
    """The observation of the row with this number."""
    if kind == "texts":
        return tuple(str(number + k) for k in range(number % 3))
    if kind == "pictures":
        return tuple(np.full((70, 70), (number + k) % 251, np.uint8) for k in range(number % 3))
    if kind == "stacks":
        return np.array([[number - 2.0], [number - 1.0], [number]]) if number % 5 else np.full((3, 1), number / 2)
    return np.full(SPACES[kind][0].shape, number, np.float64)


def action(kind: str, number: int) -> Any:
    """The action that leads to the row with this number."""
    return f"to {number}" if kind == "texts" else np.full(SPACES[kind][1].shape, number, np.float64)


def batch(space: spaces.Space[Any], values: list[Any]) -> Any:
    return np.stack(values) if isinstance(space, spaces.Box) else tuple(values)


some_lanes = st.sets(st.integers(0, MOST_LANES - 1))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("steps"), st.integers(1, 30), some_lanes, st.booleans()),
        st.tuples(st.sampled_from(["reset", "discard", "end"]), some_lanes),
        st.sampled_from([("flush",), ("restart",), ("replay",), ("append",)]),
    ),
    min_size=1,
    max_size=10,
)


@dataclass
class Episode:
    """What the file has to hold of an episode: the numbers of its rows, and the tick of its end or newest row."""

    lane: int
    rows: list[int]
    tick: int
    is_over: bool = False
    is_complete: bool = False
    is_cut: bool = False


@dataclass
class Told:
    """What the file has to hold.

    Attributes:
        settled: The episodes of recordings that were appended to.
        episodes: Those of each lane since.
        discarded: Discarded episodes, and their steps.
    """

    settled: list[Episode] = field(default_factory=list)
    episodes: list[list[Episode]] = field(default_factory=lambda: [[] for _ in range(MOST_LANES)])
    discarded: list[int] = field(default_factory=lambda: [0, 0])
    next_number: int = 1
    tick: int = 0

    def in_order(self) -> list[Episode]:
        """All episodes as the index has them."""
        found = [episode for lane in self.episodes for episode in lane]
        ended = sorted((each for each in found if each.is_over), key=lambda each: (each.tick, each.lane))
        return self.settled + ended + [each for each in found if not each.is_over]

    def settle(self) -> None:
        """The recording has been closed."""
        self.settled, self.episodes = self.in_order(), [[] for _ in range(MOST_LANES)]


class Teller:
    """Does operations with a pen, and keeps what the file has to hold."""

    def __init__(self, path: Path, kind: str, num_lanes: int, told: Told) -> None:
        self.path, self.kind, self.num_lanes, self.told = path, kind, num_lanes, told
        self.resets = 0  # since the last step: a lane that waits long is an error
        self.can_discard: set[int] = set()
        self.seen: list[tuple[int, ...]] = []  # the entries of the last commit, if nothing has been discarded since
        self.open("x")

    def open(self, mode: str) -> None:
        schema = lane_schema(self.num_lanes, *SPACES[self.kind])
        if self.kind == "stacks":
            stack = Stack("observations", np.dtype(np.float64), (3, 1))
            schema = schema.__class__(**{**schema.__dict__, "observation": stack})
        self.pen = LanePen(self.path, self.num_lanes, schema, *SPACES[self.kind], mode=mode, row_bytes=20_000)
        self.reset(set(range(self.num_lanes)))

    def do(self, name: str, *details: Any) -> None:
        getattr(self, name)(*details)

    def new_rows(self) -> list[int]:
        """A number for the next row of each lane; those of lanes without a row are left out."""
        numbers = list(range(self.told.next_number, self.told.next_number + self.num_lanes))
        self.told.next_number += self.num_lanes
        self.told.tick += 1
        return numbers

    def running(self) -> list[int]:
        newest = [lane[-1] if lane else None for lane in self.told.episodes]
        return [lane for lane, each in enumerate(newest) if each is not None and not each.is_over]

    def reset(self, lanes: set[int]) -> None:
        chosen = sorted(lane for lane in lanes if lane < self.num_lanes)
        if not chosen or self.resets > 1:
            return
        self.resets += 1
        numbers = self.new_rows()
        for lane in chosen:
            if self.told.episodes[lane]:
                self._cut(self.told.episodes[lane][-1])
            self.told.episodes[lane].append(Episode(lane, [numbers[lane]], self.told.tick))
        self.pen.begin(self._batch(numbers), chosen, seeds=dict(enumerate(numbers)), infos=self._infos(numbers))
        self.can_discard |= set(chosen)

    def _cut(self, episode: Episode) -> None:
        """A reset cuts an episode short, unless it has ended."""
        if not episode.is_complete and not episode.is_cut:
            episode.tick = self.told.tick
        episode.is_over = episode.is_cut = True

    def steps(self, count: int, ending: set[int], autoreset: bool) -> None:
        for step in range(count):
            stepped = self.running()
            waiting = [lane for lane in range(self.num_lanes) if lane not in stepped]
            fresh = waiting if autoreset else []
            if not stepped and not fresh:
                return
            ended = [lane for lane in stepped if lane in ending and (step + lane) % 3 == 2]
            numbers = self.new_rows()
            for lane in stepped:
                episode = self.told.episodes[lane][-1]
                episode.rows.append(numbers[lane])
                episode.tick, episode.is_over = self.told.tick, lane in ended
                episode.is_complete = lane in ended
            for lane in fresh:
                if self.told.episodes[lane]:
                    self._cut(self.told.episodes[lane][-1])
                self.told.episodes[lane].append(Episode(lane, [numbers[lane]], self.told.tick))
            self.pen.step(
                self._batch(numbers),
                actions=batch(SPACES[self.kind][1], [action(self.kind, number) for number in numbers]),
                rewards=np.array(numbers, np.float64),
                ended=ended,
                reset=fresh,
                stepped=stepped,
                infos=self._infos(numbers),
            )
            self.can_discard = set(stepped) | set(fresh)
            self.resets = 0

    def discard(self, lanes: set[int]) -> None:
        chosen = [lane for lane in lanes if lane in self.can_discard]
        for lane in chosen:
            self.told.discarded[0] += 1
            self.told.discarded[1] += len(self.told.episodes[lane].pop().rows) - 1
        self.can_discard -= set(chosen)
        if chosen:
            self.pen.discard(*chosen)
            self.seen = []
        for lane in chosen:  # nothing runs there until the next reset
            if self.told.episodes[lane]:
                self.told.episodes[lane][-1].is_over = True

    def end(self, lanes: set[int]) -> None:
        """A reset in two stages: the episodes are marked, then the next ones begin."""
        chosen = [lane for lane in lanes if lane in self.running()]
        if chosen and self.resets <= 1:
            self.pen.end(*chosen)
            self.pen.flush()
            self.reset(set(chosen))

    def flush(self) -> None:
        self.pen.flush()
        with open_live(self.path) as file:
            count = int(file["commit"][-1])
            entries = zip(*(file[f"episodes/{name}"][:count].tolist() for name in ENTRY), strict=True)
            entries_now = list(entries)
        assert entries_now[: len(self.seen)] == self.seen
        self.seen = entries_now

    def restart(self) -> None:
        """The drain is gone: the next one goes on from the file and the journal."""
        worker: Any = self.pen.session._worker
        if worker._file is not None:
            worker._file.discard()
        worker._drain = worker._file = None

    def replay(self) -> None:
        """The drain dies between its commit and the release of the ticks."""
        control = self.pen.session.journal.control
        before = control[Control.TAIL], control[Control.BLOB_TAIL]
        self.flush()
        self.restart()
        control[Control.TAIL], control[Control.BLOB_TAIL] = before

    def append(self) -> None:
        self.close()
        self.told.settle()
        self.can_discard, self.resets, self.seen = set(), 0, []
        self.open("a")

    def close(self) -> None:
        self.pen.close()
        check(self.path, self.kind, self.told)

    def _batch(self, numbers: list[int]) -> Any:
        return batch(SPACES[self.kind][0], [observation(self.kind, number) for number in numbers])

    def _infos(self, numbers: list[int]) -> dict[str, Any]:
        """A text that some rows have: text has no column."""
        mask = np.array(numbers) % 3 == 0
        return {"word": np.array([f"row {number}" for number in numbers], object), "_word": mask} if mask.any() else {}


def check(path: Path, kind: str, told: Told) -> None:
    """Fail unless the file has what was told, by its own description, and nothing is wrong with it."""
    expected = told.in_order()
    with h5py.File(path) as file:
        count = len(expected)
        assert file["commit"][-1] == count
        spans = list(zip(*(file[f"episodes/{name}"][:count] for name in ("envs", "starts", "lengths")), strict=True))
        nexts = [0] * MOST_LANES
        for lane in range(MOST_LANES):
            for each in (each for each in expected if each.lane == lane):
                assert (lane, nexts[lane], len(each.rows) - 1) in spans
                nexts[lane] += len(each.rows)
        assert file["commit"][:-1].tolist() == nexts[: len(file["commit"]) - 1]
        assert [each.lane for each in expected] == [lane for lane, _, _ in spans]
        for each, (lane, start, length) in zip(expected, spans, strict=True):
            assert file["rewards"][start : start + length + 1, lane].tolist() == [*each.rows[1:], 0]
    with h5r.Recording(path) as recording:
        for episode, its in zip(recording, expected, strict=True):
            assert (episode.env, episode.length, episode.complete) == (its.lane, len(its.rows) - 1, its.is_complete)
            assert all(map(identical, episode.observations, [observation(kind, row) for row in its.rows]))
            assert all(map(identical, episode.actions, [action(kind, row) for row in its.rows[1:]]))
            assert list(episode.infos) == [{"word": f"row {row}"} if row % 3 == 0 else {} for row in its.rows]
            assert episode.total_reward == sum(its.rows[1:])
            assert episode.seed in (its.rows[0], None)
        assert [recording.metadata[f"discarded_{name}"] for name in ("episodes", "steps")] == told.discarded
    assert [each.code for each in h5r.validate(path, deep=True)] == [
        "metadata-incomplete"
    ]  # a pen knows no environment


@pytest.mark.parametrize("kind", SPACES)
def test_each_lane_of_the_file_has_exactly_its_rows(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("lanes")

    @settings(PROFILE, max_examples=4, phases=[Phase.explicit, Phase.generate])
    @given(operations, st.integers(1, MOST_LANES), st.sampled_from([8, 16, 64]))
    def tell(told_operations: list[tuple[Any, ...]], num_lanes: int, ring_rows: int) -> None:
        with tempfile.TemporaryDirectory(dir=directory) as folder, pytest.MonkeyPatch.context() as patch:
            small_journal(patch, ring_rows, max_bytes=8 << 20)
            teller = Teller(Path(folder) / "run.h5", kind, num_lanes, Told())
            for operation in told_operations:
                teller.do(*operation)
            teller.close()

    tell()
