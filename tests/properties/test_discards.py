"""Property: whatever is begun, ended, discarded and flushed, the file has exactly the episodes that were kept."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import gym_h5record as h5r
from tests.properties.strategies import PROFILE
from tests.writing import each_writer, small_journal

SPACES = {
    "small": spaces.Box(0, 250, (3,), np.float32),  # many in a chunk
    "pictures": spaces.Box(0, 250, (84, 84), np.uint8),  # sixteen in a compressed chunk
    "large": spaces.Box(0, 250, (210, 160, 3), np.uint8),  # one in a chunk
}

operations = st.lists(
    st.one_of(
        st.sampled_from(["begin", "begin", "end", "discard", "discard", "flush"]),
        st.integers(1, 40),  # so many steps
        st.integers(0, 40).map(lambda length: ("whole", length)),
    ),
    min_size=1,
    max_size=12,
)


@dataclass
class Told:
    """What a recording has to hold.

    Attributes:
        episodes: The numbers of their rows; the numbers count all rows that were ever written.
        discarded: Discarded episodes and their steps.
    """

    episodes: list[list[int]] = field(default_factory=list)
    discarded: list[int] = field(default_factory=lambda: [0, 0])
    next_row: int = 0

    def new_rows(self, count: int) -> list[int]:
        self.next_row += count
        return list(range(self.next_row - count, self.next_row))


class Teller:
    """Does operations with a writer, and keeps what the file has to hold."""

    def __init__(self, writer: h5r.Writer, space: spaces.Box, told: Told) -> None:
        self.writer, self.space, self.told = writer, space, told
        self.is_open = self.can_discard = False
        self.has_columns = False  # until then the first row waits for its step: if it is discarded, it never was
        self.waits = False

    def observe(self, row: int) -> np.ndarray:
        return np.full(self.space.shape, row % 251, self.space.dtype)

    def do(self, operation: Any) -> None:
        if isinstance(operation, tuple):
            self.write_whole(operation[1])
        elif isinstance(operation, int):
            for _ in range(operation):
                if self.is_open:
                    self.step()
        else:
            getattr(self, operation)()

    def begin(self) -> None:
        self.lay_out()
        self.waits = not self.has_columns
        rows = self.told.new_rows(1)
        self.told.episodes.append(rows)
        self.writer.begin_episode(self.observe(rows[0]), seed=rows[0])
        self.is_open = self.can_discard = True

    def lay_out(self) -> None:
        self.has_columns, self.waits = self.has_columns or self.waits, False

    def step(self) -> None:
        (row,) = self.told.new_rows(1)
        self.told.episodes[-1].append(row)
        self.writer.append(row % 5, self.observe(row), float(row), False, row % 23 == 22)
        self.lay_out()
        self.is_open = row % 23 != 22

    def write_whole(self, length: int) -> None:
        rows = self.told.new_rows(length + 1)
        self.told.episodes.append(rows)
        steps = np.array(rows[1:], np.int64)
        self.writer.append_episode(
            observations=np.stack([self.observe(row) for row in rows]),
            actions=steps % 5,
            rewards=steps.astype(np.float64),
            truncations=np.arange(length) == length - 1,
            seed=rows[0],
        )
        self.is_open, self.can_discard, self.has_columns, self.waits = False, True, True, False

    def end(self) -> None:
        self.writer.end_episode()
        self.lay_out()
        self.is_open = False

    def discard(self) -> None:
        if self.can_discard:
            self.writer.discard_episode()
            rows = self.told.episodes.pop()
            if not self.waits:
                self.told.discarded[0] += 1
                self.told.discarded[1] += len(rows) - 1
            self.is_open = self.can_discard = self.waits = False

    def flush(self) -> None:
        self.writer.flush()
        self.lay_out()


def check(path: Path, space: spaces.Box, told: Told) -> None:
    """Fail unless the file has what was told, and nothing is wrong with it."""
    with h5r.Recording(path) as recording:
        assert [(each.seed, each.length) for each in recording.episodes] == [
            (rows[0], len(rows) - 1) for rows in told.episodes
        ]
        for episode, rows in zip(recording.episodes, told.episodes, strict=True):
            shown = episode.observations[:].reshape(len(rows), -1)
            assert (shown == np.array(rows)[:, None] % 251).all()
            assert list(episode.actions) == [row % 5 for row in rows[1:]]
            assert list(episode.rewards) == rows[1:]
            assert episode.total_reward == sum(rows[1:])
        assert recording.num_rows == sum(map(len, told.episodes))
        assert [recording.metadata[f"discarded_{name}"] for name in ("episodes", "steps")] == told.discarded
    assert h5r.validate(path, deep=True) == []
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", SPACES)
@each_writer
def test_the_file_has_exactly_the_episodes_that_were_not_discarded(
    writer: str, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    space, directory = SPACES[kind], tmp_path_factory.mktemp("discards")

    @settings(PROFILE, max_examples=2 if writer == "process" else 6, phases=[Phase.explicit, Phase.generate])
    @given(
        st.lists(operations, min_size=1, max_size=2),
        st.sampled_from([8, 16, 64]),
        st.sampled_from([3600.0, 0.001]),
        st.booleans(),
    )
    def tell(lives: list[list[Any]], ring_rows: int, flush_interval_s: float, checksum: bool) -> None:
        with tempfile.TemporaryDirectory(dir=directory) as folder, pytest.MonkeyPatch.context() as patch:
            small_journal(patch, ring_rows, max_bytes=8 << 20)
            path, told = Path(folder) / "run.h5", Told()
            for life in lives:
                with h5r.Writer(
                    path,
                    observation_space=space,
                    action_space=spaces.Discrete(5),
                    mode="a",
                    writer=writer,
                    flush_interval_s=flush_interval_s,
                    checksum=checksum,
                ) as file:
                    teller = Teller(file, space, told)
                    for operation in life:
                        teller.do(operation)
                if path.exists():
                    check(path, space, told)
                else:
                    assert (told.episodes, told.discarded) == ([], [0, 0])

    tell()
