"""The open file of a recording: what it says about itself, and how its values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.envs.registration import EnvSpec

from gym_h5record.cached import cached_property
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.masks import check_mask, check_mask_size, mask_field, mask_names
from gym_h5record.format.metadata import metadata_values, read_attribute
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle

__all__ = ["RecordedFile"]


class RecordedFile:
    """The open file of a recording, shared by the recording and its selections.

    Args:
        handle: The file.
        storage: Reads items.
    """

    def __init__(self, handle: Handle, storage: ColumnReader) -> None:
        self._handle = handle
        self._storage = storage
        self._bad_schema = ""  # why the schema cannot be read

    @property
    def path(self) -> Path:
        """The file."""
        return self._handle.path

    @property
    def num_envs(self) -> int | None:
        """Lanes of a vector recording, None if it is none."""
        return self._handle.num_envs

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
        """The spec of the environment, None if it had none or its spec cannot be written as JSON."""
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
        if self._bad_schema:  # every column asks, and a schema of 400,000 nodes takes 1.2 s to refuse
            raise CorruptRecordingError(self._bad_schema)
        try:
            schema = schema_from_json(self._attribute("schema"))
        except CorruptRecordingError as error:
            self._bad_schema = str(error)
            raise
        if schema.num_envs != self.num_envs:
            self._bad_schema = f"{self.path} has {fmt.NUM_ENVS}={self.num_envs}, its schema says {schema.num_envs}"
            raise CorruptRecordingError(self._bad_schema)
        self._storage.expect([*all_fields(schema), *self._mask_fields])
        return schema

    @cached_property
    def decoder(self) -> Decoder:
        """Reads values."""
        return Decoder(self._storage, self.schema)

    def masks(self, index: EpisodeIndex) -> dict[str, np.ndarray]:
        """The masks by name, each the numbers of its episodes, ``(n,)`` int64.

        Args:
            index: The episodes of the recording.

        Raises:
            CorruptRecordingError: If the names or a mask cannot be read, or a mask names other episodes than these.
        """
        names = mask_names(self._attributes)
        self.schema  # noqa: B018  # from here on, storage refuses masks that are no lists of numbers
        return {name: self._mask(name, index.num_episodes) for name in names}

    def renew(self) -> None:
        """Forget what the file said about itself, but for what never changes."""
        for name in ("metadata", "_attributes"):
            self.__dict__.pop(name, None)
        self._bad_schema = ""

    def close(self) -> None:
        """Close the file; reading from it is an error afterwards."""
        self._handle.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordedFile, (self._handle, self._storage)

    def _mask(self, name: str, num_episodes: int) -> np.ndarray:
        field = mask_field(name).name
        count = self._storage.length(field)
        check_mask_size(name, count, num_episodes)
        numbers = self._storage.items(field, 0, count)
        check_mask(name, numbers, num_episodes)
        return numbers

    @property
    def _mask_fields(self) -> list[Field]:
        """The datasets of the masks; none if their names cannot be read, as the rest of the recording can."""
        try:
            return [mask_field(name) for name in mask_names(self._attributes)]
        except CorruptRecordingError:
            return []

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        return self._storage.reading(fmt.METADATA, self._handle.metadata)

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
