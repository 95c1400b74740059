"""The facts about an environment, or about the data of a ``Writer``, that a recording needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium import Space

from gym_h5record.recorder.provenance import describe_arrays, describe_environment, frames_per_second, user_metadata

__all__ = ["RecordedEnv", "describe_recorded", "describe_written"]


@dataclass(frozen=True)
class RecordedEnv:
    """The facts about an environment that its recording needs.

    Attributes:
        attributes: Text attributes of ``/metadata``.
        spaces: The observation and the action space.
        fps: Frames per second, NaN if unknown.
        frames: Kind of the frame source.
        infos: Whether infos are recorded.
        times: Whether times are recorded.
        has_user_metadata: Whether some of the attributes are the user's own.
        cameras: Names of the cameras.
    """

    attributes: Mapping[str, str]
    spaces: tuple[Space[Any], Space[Any]]
    fps: float
    frames: str
    infos: bool
    times: bool
    has_user_metadata: bool
    cameras: tuple[str, ...] = ()


def describe_recorded(
    env: gym.Env[Any, Any],
    frames: str,
    metadata: Mapping[str, Any] | None,
    *,
    infos: bool,
    times: bool,
    cameras: tuple[str, ...] = (),
) -> RecordedEnv:
    """Gather the facts about an environment that its recording needs.

    Args:
        env: The environment inside the recorder.
        frames: Kind of the frame source.
        metadata: The user's metadata.
        infos: Whether infos are recorded.
        times: Whether times are recorded.
        cameras: Names of the cameras.

    Raises:
        MetadataError: If the user's metadata cannot be stored.
    """
    return RecordedEnv(
        attributes={**describe_environment(env), **user_metadata(metadata), "frames": frames},
        spaces=(env.observation_space, env.action_space),
        fps=frames_per_second(env),
        frames=frames,
        infos=bool(infos),
        times=bool(times),
        has_user_metadata=bool(metadata),
        cameras=cameras,
    )


def describe_written(
    name: str, spaces: tuple[Space[Any], Space[Any]], fps: float, metadata: Mapping[str, Any] | None, *, times: bool
) -> RecordedEnv:
    """The same facts where there is no environment. There are no frames, unless the first row has one.

    Args:
        name: What the data is of.
        spaces: The observation and the action space.
        fps: Steps per second, NaN if unknown.
        metadata: The user's metadata.
        times: Whether times are recorded.

    Raises:
        MetadataError: If the user's metadata cannot be stored.
    """
    return RecordedEnv(
        attributes={**describe_arrays(name, *spaces), **user_metadata(metadata), "frames": "none"},
        spaces=spaces,
        fps=float(fps),
        frames="none",
        infos=True,
        times=bool(times),
        cameras=(),
        has_user_metadata=bool(metadata),
    )
