"""Recordings to read, for the tests of the reader."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import Commit
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.recording_file import RecordingFile, create_file
from gym_h5record.values.space_json import space_to_json
from gym_h5record.writing import journal
from tests.writing import MODEST_BYTES, make_schema
from tests.zoo import Played, ZooEnv, play

PICTURE = spaces.Box(0, 255, (84, 84), np.uint8)
"""Compressed, sixteen in a chunk."""

NESTED = spaces.Dict(
    picture=PICTURE,
    pair=spaces.Tuple((spaces.Discrete(5), spaces.Box(-1, 1, (2,), np.float32))),
    text=spaces.Text(6),
    empty=spaces.Box(0, 1, (0, 2), np.float32),
)


def record(
    path: Path, env: gym.Env[Any, Any] | None = None, lengths: Iterable[int] = (20, 3, 0, 20), **options: Any
) -> list[Played]:
    """Record an environment, and keep all that passed."""
    env = ZooEnv(NESTED, length=20) if env is None else env
    recorder: Any = h5r.RecordToHDF5(env, path, **{"writer": "inline", **options})
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_MAX_BYTES", MODEST_BYTES)
        warnings.simplefilter("ignore", RecordingWarning)
        played = play(recorder, lengths)
        recorder.close()
    return played


def write_ones(path: Path, num_episodes: int) -> None:
    """A recording of many episodes of one step, written at once: row r observes r."""
    space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    described = {"observation_space": space_to_json(space), "action_space": space_to_json(spaces.Discrete(2))}
    metadata = {name: json.dumps(each) for name, each in described.items()}
    schema = make_schema(space, spaces.Discrete(2), infos=None, extras=None, times=False)
    create_file(path, schema, make_codec("gzip"), fps=1.0, metadata=metadata, journal_id="0" * 36)
    file, rows = RecordingFile(path), 2 * num_episodes
    numbers, episodes, is_last = np.arange(rows), np.arange(num_episodes), np.arange(rows) % 2 == 1
    file.write(fmt.OBSERVATIONS, 0, numbers[:, None].astype(np.float64))
    for name, column in (
        (fmt.ACTIONS, numbers * ~is_last % 3),
        (fmt.REWARDS, numbers * 1.0 * ~is_last),
        (fmt.TERMINATIONS, ~is_last),
        (fmt.TRUNCATIONS, np.zeros(rows, bool)),
        (fmt.DONES, ~is_last),
        (f"{fmt.EXCEPTIONS}/{fmt.ENDS}", np.zeros(rows, np.int64)),
        (f"{fmt.EPISODE_JSON}/{fmt.ENDS}", np.zeros(num_episodes, np.int64)),
    ):
        file.write(name, 0, column)
    codes = np.tile(np.array([[20, 4, 5, 5, 1]], np.uint8), (rows, 1))
    codes[is_last, :4] = 0
    file.write(fmt.TYPES, 0, codes)
    values = {"starts": episodes * 2, "lengths": episodes * 0 + 1, "returns": episodes * 2.0, "seeds": episodes}
    for name, dtype in fmt.EPISODE_COLUMNS.items():
        default = episodes * 0 + (1 if name in ("terminated", "complete") else 0)
        file.write(f"{fmt.EPISODES}/{name}", 0, values.get(name, default).astype(dtype))
    file.commit(Commit(rows, num_episodes))
    file.close()


class Reads:
    """Counts what is read of each dataset."""

    def __init__(self, monkeypatch: Any) -> None:
        self.fields: list[str] = []
        for name in ("items", "item", "take"):
            self._wrap(monkeypatch, name, getattr(ColumnReader, name))

    def _wrap(self, monkeypatch: Any, name: str, method: Callable[..., Any]) -> None:
        def counted(storage: ColumnReader, field: str, *arguments: int) -> Any:
            self.fields.append(field)
            return method(storage, field, *arguments)

        monkeypatch.setattr(ColumnReader, name, counted)

    def take(self) -> set[str]:
        """Which datasets have been read since the last call."""
        fields, self.fields = set(self.fields), []
        return fields


def damage_chunk(path: Path, name: str, change: Callable[[bytes], bytes], chunk: int = 0) -> None:
    """Change the stored bytes of a chunk; they may become fewer, not more."""
    with h5py.File(path) as file:
        dataset = file[name]
        first = (chunk * dataset.chunks[0], *(0 for _ in dataset.shape[1:]))
        stored = dataset.id.get_chunk_info_by_coord(first)
    with path.open("r+b") as stream:
        stream.seek(stored.byte_offset)
        data = stream.read(stored.size)
        stream.seek(stored.byte_offset)
        stream.write(change(data).ljust(stored.size, b"\0")[: stored.size])
