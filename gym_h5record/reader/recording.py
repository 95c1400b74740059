"""``Recording``: the front door to a recorded file."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.envs.registration import EnvSpec

from gym_h5record import format as fmt
from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.reader.columns import Column, InfoColumn
from gym_h5record.reader.decode import Decoder
from gym_h5record.reader.episodes import EpisodeIndex, EpisodeList
from gym_h5record.reader.handle import Handle
from gym_h5record.reader.storage import Storage
from gym_h5record.schema import Schema
from gym_h5record.schema_json import schema_from_json
from gym_h5record.spaces import space_from_json
from gym_h5record.tagged import loads

__all__ = ["Recording"]

_JSON_ATTRIBUTES = ("versions", "platform", "env_wrappers")


class Recording:
    """A recorded file, read lazily.

    Opening reads a few hundred bytes whatever the size of the file. A recording
    can be pickled and survives ``fork``: every process opens the file for itself.

    Args:
        path: The file.

    Raises:
        RecordingNotFoundError: If there is no file.
        NotARecordingError: If it is not HDF5, not ours, or too new.
        RecordingInUseError: If it is being recorded right now.
        InterruptedRecordingError: If its recorder died.

    Example:
        >>> with Recording(cartpole_path) as recording:
        ...     episode = recording.episodes[0]
        ...     len(episode.observations) - len(episode.actions)
        1
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._handle = Handle(Path(path).absolute())
        self._storage = Storage(self._handle)
        rows, episodes = self._read_commit()
        self._index = EpisodeIndex(self._storage, episodes, rows)

    # What is in it --------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The file."""
        return self._handle.path

    @property
    def num_rows(self) -> int:
        """Rows: observations, final ones included."""
        return self._index.num_rows

    @property
    def num_episodes(self) -> int:
        """Episodes, incomplete ones included."""
        return self._index.num_episodes

    @property
    def num_steps(self) -> int:
        """Steps: every episode has one row more than it has steps."""
        return self.num_rows - self.num_episodes

    @property
    def num_envs(self) -> int:
        """Environments recorded side by side."""
        return 1

    @cached_property
    def episodes(self) -> EpisodeList:
        """The episodes, in the order they were recorded."""
        return EpisodeList(self._decoder, self.schema, self._index, range(self.num_episodes))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What was recorded about the run: the user's own metadata and that of the recorder."""
        try:
            group = self._handle.file[fmt.METADATA]
            attributes = {name: _plain(value) for name, value in group.attrs.items()}
            user = dict(loads(attributes.get("user") or "{}"))
            attributes |= {name: json.loads(attributes[name]) for name in _JSON_ATTRIBUTES if name in attributes}
        except (ValueError, TypeError, KeyError, OSError, RuntimeError) as error:
            if isinstance(error, RecordingError):
                raise
            raise CorruptRecordingError(f"{self.path}: /{fmt.METADATA} cannot be read: {error}") from error
        return {**user, **attributes, "user": user}

    @property
    def fps(self) -> float:
        """Frames per second to show the frames with, NaN if unknown."""
        return float(self._handle.file.attrs["fps"])

    @cached_property
    def env_spec(self) -> EnvSpec | None:
        """The spec of the environment, None if it has none or it cannot be written as JSON."""
        text = self.metadata.get("env_spec")
        return EnvSpec.from_json(text) if text else None

    @cached_property
    def observation_space(self) -> Space[Any]:
        """The observation space, equal to the environment's."""
        return self._space("observation_space")

    @cached_property
    def action_space(self) -> Space[Any]:
        """The action space, equal to the environment's."""
        return self._space("action_space")

    @cached_property
    def schema(self) -> Schema:
        """Which columns there are."""
        return schema_from_json(self._attribute("schema"))

    @property
    def returns(self) -> np.ndarray:
        """Total reward of each episode, ``(num_episodes,)`` float64."""
        return self._index.column("returns").copy()

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, ``(num_episodes,)`` int64."""
        return self._index.column("lengths").copy()

    # Columns by row -------------------------------------------------------------------------------

    @property
    def observations(self) -> Column:
        """Observations of all rows."""
        return Column(self._decoder, self.schema.observation, 0, self.num_rows)

    @property
    def frames(self) -> Column | None:
        """Pictures of all rows, None if there are none."""
        node = self.schema.observation if self.schema.linked_frames else self.schema.frame
        return None if node is None else Column(self._decoder, node, 0, self.num_rows)

    @property
    def infos(self) -> InfoColumn | None:
        """Infos of all rows, None if they were not recorded."""
        return None if self.schema.infos is None else InfoColumn(self._decoder, 0, self.num_rows)

    @property
    def actions(self) -> Column:
        """Actions taken from all rows; None, and zero in slices, from the last row of an episode."""
        return Column(self._decoder, self.schema.action, 0, self.num_rows)

    @property
    def rewards(self) -> Column:
        """Rewards, like ``actions``."""
        return self._named(fmt.REWARDS)

    @property
    def terminations(self) -> Column:
        """``terminated`` of the steps, like ``actions``."""
        return self._named(fmt.TERMINATIONS)

    @property
    def truncations(self) -> Column:
        """``truncated`` of the steps, like ``actions``."""
        return self._named(fmt.TRUNCATIONS)

    @property
    def dones(self) -> np.ndarray:
        """``terminated or truncated`` of all rows, ``(rows,)`` bool."""
        return self._storage.items(fmt.DONES, 0, self.num_rows)

    # Life -----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the file; reading from it is an error afterwards."""
        self._handle.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Recording {str(self.path)!r}: {self.num_episodes} episodes, {self.num_steps} steps>"

    def __reduce__(self) -> tuple[type[Recording], tuple[str]]:
        return Recording, (str(self.path),)

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self._storage, self.schema)

    def _attribute(self, name: str) -> str:
        text = self.metadata.get(name)
        if not isinstance(text, str):
            raise CorruptRecordingError(f"{self.path}: /{fmt.METADATA} lacks the text attribute {name!r}")
        return text

    def _space(self, name: str) -> Space[Any]:
        try:
            return space_from_json(json.loads(self._attribute(name)))
        except ValueError as error:
            raise CorruptRecordingError(
                f"{self.path}: the {name} in /{fmt.METADATA} cannot be read: {error}"
            ) from error

    def _named(self, name: str) -> Column:
        return Column(self._decoder, self.schema.coded[self.schema.code_index[name]], 0, self.num_rows)

    def _read_commit(self) -> tuple[int, int]:
        rows, episodes = (int(count) for count in self._storage.items(fmt.COMMIT, 0, 2))
        if not 0 <= episodes <= rows:
            raise CorruptRecordingError(f"{self.path}: /{fmt.COMMIT} claims {rows} rows and {episodes} episodes")
        return rows, episodes


def _plain(value: Any) -> Any:
    """An attribute as a Python value."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return value.item() if isinstance(value, np.generic) else value
