"""What a recording and a selection of its episodes say about their file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TypeVar

from gymnasium import Env, Space
from gymnasium.envs.registration import EnvSpec

from gym_h5record.format.schema import Schema
from gym_h5record.reading.env_making import make_recorded_env
from gym_h5record.reading.recorded_file import RecordedFile

__all__ = ["FileFacts"]

_Facts = TypeVar("_Facts", bound="FileFacts")


class FileFacts(ABC):
    """The facts of an open file, and its end. A subclass says which file."""

    @property
    @abstractmethod
    def _file(self) -> RecordedFile:
        """The open file."""

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def schema(self) -> Schema:
        """Which columns there are."""
        return self._file.schema

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the user and of the recorder. JSON texts are parsed, ``created_at`` is text in ISO 8601."""
        return self._file.metadata

    @property
    def fps(self) -> float:
        """Frames per second, NaN if unknown."""
        return self._file.fps

    @property
    def num_envs(self) -> int:
        """Environments recorded side by side: the lanes of a vector recording, else 1."""
        return self._file.num_envs or 1

    @property
    def env_spec(self) -> EnvSpec | None:
        """The spec of the environment, None if it had none or its spec cannot be written as JSON.

        Nothing is imported: ``gym_h5record.values.qualified_names.Named`` stands for the classes,
        functions and members of enums among its arguments.
        """
        return self._file.env_spec

    @property
    def observation_space(self) -> Space[Any]:
        """The observation space, equal to the environment's."""
        return self._file.observation_space

    @property
    def action_space(self) -> Space[Any]:
        """The action space, equal to the environment's."""
        return self._file.action_space

    def make_env(self, **kwargs: Any) -> Env[Any, Any]:
        """Make the recorded environment anew, from its spec in the file. It opens no window.

        This imports and runs what the file names: do it only with files of people that you trust.

        Args:
            **kwargs: Arguments of ``gymnasium.make`` in the place of the recorded ones, such as
                ``render_mode="human"``.

        Raises:
            UnbuildableEnvError: If the file has no spec, or something that the spec names is not installed.
            EnvMismatchError: If the spaces of the environment are not the recorded ones.

        Example:
            >>> import gym_h5record as h5r
            >>> with h5r.Recording(cartpole_path) as recording, recording.make_env() as env:
            ...     env.spec.id
            'CartPole-v1'
        """
        return make_recorded_env(self, kwargs)

    def close(self) -> None:
        """Close the file; reading from it is an error afterwards."""
        self._file.close()

    def __enter__(self: _Facts) -> _Facts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
