"""What a recording says about its vector environment, and whether its lanes can be run one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gymnasium.vector import AutoresetMode

from gym_h5record.display import counted
from gym_h5record.errors import CorruptRecordingError, NotReplayableError
from gym_h5record.reading.recording import Recording

__all__ = [
    "STATISTICS",
    "VectorDescription",
    "check_lanes_alone",
    "described_vector",
    "ignored_infos",
    "is_stepped_together",
]

STATISTICS = "gymnasium.wrappers.vector.common:RecordEpisodeStatistics"
"""A wrapper that changes nothing but adds infos."""

_STATISTICS_INFOS = "episode"
"""The key of those infos."""

_OWN_ENVS = (
    "gymnasium.vector.sync_vector_env:SyncVectorEnv",
    "gymnasium.vector.async_vector_env:AsyncVectorEnv",
)
"""The classes whose lanes are environments of their own."""

_ONLOOKERS = (
    "gym_h5record.recorder.vector_wrapper:RecordToHDF5",
    "gymnasium.wrappers.vector.rendering:HumanRendering",
    "gymnasium.wrappers.vector.rendering:RecordVideo",
)
"""Wrappers that only show or record."""


@dataclass(frozen=True)
class VectorDescription:
    """What the file says about the vector environment (``vector`` of ``/metadata``).

    Attributes:
        env_class: Its class, ``"module:qualname"``.
        wrappers: The classes of its wrappers that change or add something, the outermost first.
        mode: How it reset its environments.
        num_envs: How many environments it had.
        lanes: Which of them were recorded.
        spec: The JSON of its spec, None without one.
    """

    env_class: str
    wrappers: tuple[str, ...]
    mode: AutoresetMode
    num_envs: int
    lanes: tuple[int, ...]
    spec: str | None

    @property
    def name(self) -> str:
        """The name of its class."""
        return self.env_class.rpartition(":")[2].rpartition(".")[2]


def described_vector(recording: Recording) -> VectorDescription | None:
    """The description of the vector environment; None if the recording is not of one.

    Raises:
        CorruptRecordingError: If it cannot be understood.
    """
    found = recording.metadata.get("vector")
    if found is None:
        return None
    try:
        wrappers, lanes, spec = found["wrappers"], found["lanes"], found["spec"]
        return VectorDescription(
            env_class=_checked(str, found["class"]),
            wrappers=tuple(_checked(str, each) for each in wrappers if each not in _ONLOOKERS),
            mode=AutoresetMode[found["autoreset_mode"]],
            num_envs=_checked(int, found["num_envs"]),
            lanes=tuple(_checked(int, each) for each in lanes),
            spec=None if spec is None else _checked(str, spec),
        )
    except (KeyError, TypeError) as error:
        raise CorruptRecordingError(
            f"{recording.path}: /metadata vector cannot be understood: {type(error).__name__}: {error!s:.200}"
        ) from error


def is_stepped_together(recording: Recording) -> bool:
    """Whether the lanes share generators, a simulator or a wrapper, so that one alone cannot be run again."""
    described = described_vector(recording)
    if described is None:
        return False
    has_own_envs = described.env_class in _OWN_ENVS or bool(recording.metadata.get("env_spec"))
    return not has_own_envs or any(each != STATISTICS for each in described.wrappers)


def check_lanes_alone(recording: Recording) -> None:
    """Raise NotReplayableError unless the environment of a lane can be run without the others."""
    described = described_vector(recording)
    if described is not None and is_stepped_together(recording):
        together = " and ".join(each.rpartition(":")[2] for each in described.wrappers if each != STATISTICS)
        raise NotReplayableError(
            f"{recording.path}: a branch is a single environment, but {together or described.name} steps "
            f"{counted(described.num_envs, 'environment')} together, so none of them can be run alone. "
            "gym_h5record.verify runs them all."
        )


def ignored_infos(recording: Recording) -> tuple[str, ...]:
    """Paths into infos that a lane that is run alone does not give: those of ``RecordEpisodeStatistics`` around all."""
    described = described_vector(recording)
    return (_STATISTICS_INFOS,) if described is not None and STATISTICS in described.wrappers else ()


def _checked(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {value!r:.80}")
    return value
