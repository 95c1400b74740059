"""``Recording``: the front door to a recorded file."""

from __future__ import annotations

import os
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.envs.registration import EnvSpec

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.metadata import metadata_values
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.reading.columns import Column, InfoColumn
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.episodes import EpisodeList
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.state import State
from gym_h5record.values.space_json import space_from_json
from gym_h5record.values.spec_json import spec_from_json
from gym_h5record.values.tagged_json import parse_json

__all__ = ["Recording"]


class Recording:
    """A recorded file, read lazily.

    Opening reads a few hundred bytes whatever the size of the file. A recording
    can be pickled and survives ``fork``: every process opens the file for itself.
    The file may come from a stranger: nothing outside it is read, and damage is
    an error where it is met.

    Args:
        path: The file.
        live: Whether it may still be being recorded. What is seen is what was
            committed when it was opened or refreshed last.

    Raises:
        RecordingNotFoundError: If there is no file.
        NotARecordingError: If it is not HDF5, not ours, or too new.
        CorruptRecordingError: If it contradicts the format.
        RecordingInUseError: If it is being recorded right now, and not ``live``.
        InterruptedRecordingError: If its recorder died; ``gym_h5record.repair(path)`` completes it.

    Example:
        >>> with Recording(cartpole_path) as recording:
        ...     episode = recording.episodes[0]
        ...     len(episode.observations) - len(episode.actions)
        1
    """

    def __init__(self, path: str | os.PathLike[str], *, live: bool = False) -> None:
        self._live = live
        self._handle = Handle(Path(path), Access.LIVE if live else Access.CLOSED)
        self._is_live = self._handle.state is State.LIVE
        try:
            self._storage = ColumnReader(self._handle)
            self._index = EpisodeIndex.committed(self._storage)
        except BaseException:
            self._handle.close()
            raise

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
        """Steps: every episode has one row more than it has steps, also one that is still running."""
        return self.num_rows - self.num_episodes - self._is_open

    @property
    def num_envs(self) -> int:
        """Environments recorded side by side."""
        return 1

    @cached_property
    def episodes(self) -> EpisodeList:
        """The episodes, in the order they were recorded."""
        return EpisodeList(self._decoder, self.schema, self._index, range(self.num_episodes))

    @property
    def is_live(self) -> bool:
        """Whether it was still being recorded when it was opened or refreshed last."""
        return self._is_live

    def refresh(self) -> bool:
        """See what has been committed since.

        Episodes and columns that were taken from the recording before stay as they were.

        Returns:
            Whether it is still being recorded; if not, everything is in the file.

        Raises:
            InterruptedRecordingError: If its recorder died, and its writer with it.
            RecordingNotFoundError: If the file has been removed, or replaced by another recording.
        """
        if self.is_live:
            self._handle.renew()
            is_live = self._handle.state is State.LIVE  # asked before looking at what is committed
            self._index = self._index.later()
            self._is_live = is_live
            for name in ("episodes", "metadata", "_attributes"):
                self.__dict__.pop(name, None)
        return self.is_live

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What was recorded about the run: the user's own metadata and that of the recorder."""
        try:
            return metadata_values(self._attributes)
        except CorruptRecordingError as error:
            raise CorruptRecordingError(f"{self.path}: {error}") from error

    @property
    def fps(self) -> float:
        """Frames per second to show the frames with, NaN if unknown."""
        fps = self._handle.attribute("fps")
        if not isinstance(fps, float):
            raise CorruptRecordingError(f"{self.path}: fps is {fps!r:.80}, not a number")
        return fps

    @cached_property
    def env_spec(self) -> EnvSpec | None:
        """The spec of the environment, None if it has none or it cannot be written as JSON.

        Nothing is imported: classes, functions and members of enums among its arguments are only
        named, by ``gym_h5record.values.qualified_names.Named``.
        """
        text = self.metadata.get("env_spec")
        if not text:
            return None
        try:
            return spec_from_json(text)
        except CorruptRecordingError as error:
            raise CorruptRecordingError(f"{self.path}: its env_spec cannot be read: {error}") from error

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
        schema = schema_from_json(self._attribute("schema"))
        self._storage.expect(all_fields(schema))
        return schema

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
        return Column(self._decoder, self.schema.action, 0, self.num_rows, is_open=self._is_open)

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
        dones = self._storage.items(fmt.DONES, 0, self.num_rows)
        if self._is_open:
            dones[-1] = False
        return dones

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

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Recording, live=self._live), (str(self.path),)

    @property
    def _is_open(self) -> bool:
        """Whether an episode is running: the step from the last row is then not committed yet."""
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

    def _space(self, name: str) -> Space[Any]:
        try:
            return space_from_json(parse_json(self._attribute(name)))
        except ValueError as error:
            raise CorruptRecordingError(
                f"{self.path}: the {name} in /{fmt.METADATA} cannot be read: {error}"
            ) from error

    def _named(self, name: str) -> Column:
        node = self.schema.coded[self.schema.code_index[name]]
        return Column(self._decoder, node, 0, self.num_rows, is_open=self._is_open)
