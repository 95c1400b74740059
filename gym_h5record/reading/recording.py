"""``Recording``: a recorded file, opened for reading."""

from __future__ import annotations

import os
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.envs.registration import EnvSpec

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.metadata import metadata_values, read_attribute
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.reading.column_properties import COLUMNS, RowColumns, RowRun
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.episodes import EpisodeList
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.paths import given_path
from gym_h5record.storage.state import State

__all__ = ["Recording"]


class Recording(RowColumns):
    """A recorded file, read lazily.

    Opening reads a few hundred bytes, whatever the size of the file. A recording
    can be pickled and survives ``fork``: every process opens the file for itself.
    The file may be hostile: nothing outside it is read, and a damaged part raises
    an error when it is read.

    The columns have one value per row, for all rows of the file; ``episodes``
    has the columns of each episode. Nothing follows the last row of an episode:
    its action, reward and flags are None, and zero in slices.

    Args:
        path: The file.
        live: Whether a recorder may still write the file. The recording shows what
            was committed when it was opened or refreshed last.

    Raises:
        RecordingNotFoundError: If there is no file.
        NotARecordingError: If the file is not HDF5, not written by this package, or of a newer format.
        CorruptRecordingError: If the file contradicts the format.
        RecordingInUseError: If a recorder writes the file, and not ``live``.
        InterruptedRecordingError: If its recorder died; ``gym_h5record.repair(path)`` completes it.

    Example:
        >>> with Recording(cartpole_path) as recording:
        ...     episode = recording.episodes[0]
        ...     len(episode.observations) - len(episode.actions)
        1
    """

    def __init__(self, path: str | os.PathLike[str], *, live: bool = False) -> None:
        self._live = live
        self._handle = Handle(given_path(path), Access.LIVE if live else Access.CLOSED)
        self._is_live = self._handle.state is State.LIVE
        try:
            self._storage = ColumnReader(self._handle)
            self._index = EpisodeIndex.committed(self._storage)
        except BaseException:
            self._handle.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._handle.path

    @property
    def num_rows(self) -> int:
        """Rows: one per observation, final observations included."""
        return self._index.num_rows

    @property
    def num_episodes(self) -> int:
        """Episodes, incomplete ones included."""
        return self._index.num_episodes

    @property
    def num_steps(self) -> int:
        """Steps: one fewer than rows in every episode, also in the running one."""
        return self.num_rows - self.num_episodes - self._is_open

    @property
    def num_envs(self) -> int:
        """Environments recorded side by side."""
        return 1

    @cached_property
    def episodes(self) -> EpisodeList:
        """The episodes, in the order they were recorded."""
        return EpisodeList(self._decoder, self._index, range(self.num_episodes))

    @property
    def is_live(self) -> bool:
        """Whether a recorder still wrote the file when it was opened or refreshed last."""
        return self._is_live

    def refresh(self) -> bool:
        """Show the rows that have been committed since.

        Episodes and columns taken from the recording before stay as they were, but for the newest episode: where it has
        been discarded since, its rows may become those of the next one.

        Returns:
            Whether a recorder still writes the file. If not, all its rows are in the file.

        Raises:
            InterruptedRecordingError: If the recorder and its writer died.
            RecordingNotFoundError: If the file has been removed, or replaced by another recording.
        """
        if self.is_live:
            self._handle.renew()
            is_live = self._handle.state is State.LIVE  # asked before /commit is read: the recorder may end in between
            self._index = self._index.later()
            self._is_live = is_live
            for name in (*COLUMNS, "episodes", "metadata", "_attributes"):
                self.__dict__.pop(name, None)
        return self.is_live

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the user and of the recorder."""
        try:
            return metadata_values(self._attributes)
        except CorruptRecordingError as error:
            raise CorruptRecordingError(f"{self.path}: {error}") from error

    @property
    def fps(self) -> float:
        """Frames per second, NaN if unknown."""
        fps = self._handle.attribute("fps")
        if not isinstance(fps, float):
            raise CorruptRecordingError(f"{self.path}: fps is {fps!r:.80}, not a number")
        return fps

    @cached_property
    def env_spec(self) -> EnvSpec | None:
        """The spec of the environment, None if it had none or its spec cannot be written as JSON.

        Nothing is imported: ``gym_h5record.values.qualified_names.Named`` stands for the classes,
        functions and members of enums among its arguments.
        """
        spec: EnvSpec | None = self._read("env_spec") if self._attributes.get("env_spec") else None
        return spec

    @cached_property
    def observation_space(self) -> Space[Any]:
        """The observation space, equal to the environment's."""
        space: Space[Any] = self._read("observation_space")
        return space

    @cached_property
    def action_space(self) -> Space[Any]:
        """The action space, equal to the environment's."""
        space: Space[Any] = self._read("action_space")
        return space

    @cached_property
    def schema(self) -> Schema:
        """Which columns there are."""
        schema = schema_from_json(self._attribute("schema"))
        self._storage.expect(all_fields(schema))
        return schema

    @property
    def returns(self) -> np.ndarray:
        """Total reward of each episode, ``(episodes,)`` float64; ``(episodes, *shape)`` if rewards are arrays."""
        self.schema  # noqa: B018  # says which shape the returns have; the column is checked against it
        return self._index.column("returns").copy()

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, ``(num_episodes,)`` int64."""
        return self._index.column("lengths").copy()

    @property
    def dones(self) -> np.ndarray:
        """``terminated or truncated`` of all rows, ``(rows,)`` bool."""
        dones = self._storage.items(fmt.DONES, 0, self.num_rows)
        if self._is_open:
            dones[-1] = False
        return dones

    def close(self) -> None:
        """Close the file; reading from it is an error afterwards."""
        self._handle.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Recording {str(self.path)!r}: {self.num_episodes} episodes, {self.num_steps} steps>"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Recording, live=self._live), (str(self.path),)

    @property
    def _run(self) -> RowRun:
        return RowRun(self._decoder, 0, self.num_rows, self.num_rows, has_padding=True, is_open=self._is_open)

    @property
    def _is_open(self) -> bool:
        """Whether an episode is running, so that the step from the last row is not committed yet."""
        return self._is_live and self._index.is_open

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self._storage, self.schema)

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        return self._storage.reading(fmt.METADATA, lambda: self._handle.metadata())

    def _attribute(self, name: str) -> str:
        text = self._attributes.get(name)
        if not isinstance(text, str):
            raise CorruptRecordingError(f"{self.path}: /{fmt.METADATA} lacks the text attribute {name!r}")
        return text

    def _read(self, name: str) -> Any:
        text = self._attribute(name)
        try:
            return read_attribute(name, text)
        except (ValueError, TypeError) as error:
            raise CorruptRecordingError(f"{self.path}: its {name} cannot be read: {error}") from error
