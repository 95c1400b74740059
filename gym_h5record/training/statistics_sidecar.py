"""Statistics kept in a file beside the recording, and read from there while the recording is the same."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.notices import warn
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.step_leaves import LeafSource
from gym_h5record.storage.paths import given_path, open_unlinked
from gym_h5record.training.statistics import Statistics
from gym_h5record.training.statistics_reading import OnProgress, read_statistics

__all__ = ["statistics_of"]

_KIND = "gym_h5record statistics"
_MAX_BYTES = 256 << 20
"""Of a file of statistics. That of CartPole has 2 MiB, that of ten leaves of 64 floats in 10,000 episodes 150 MiB."""


@dataclass(frozen=True)
class _Key:
    """What statistics are of. They are those of a recording as long as it has the same key.

    Attributes:
        file: What tells the recording from others.
        num_rows: Committed rows.
        num_episodes: Committed episodes.
        num_steps: Steps of the statistics, those of a running episode included.
        episodes: A digest of the numbers, spans and returns of the episodes of the statistics.
        per_episode: Whether there are statistics of the leaves in each episode.
    """

    file: str
    num_rows: int
    num_episodes: int
    num_steps: int
    episodes: str
    per_episode: bool


def statistics_of(
    source: LeafSource,
    index: EpisodeIndex,
    numbers: np.ndarray,
    file: str,
    *,
    per_episode: bool,
    path: Path,
    cache: bool | str | os.PathLike[str],
    on_progress: OnProgress | None = None,
) -> Statistics:
    """Read the statistics of some episodes from the file where they are kept, or else from the recording.

    Args:
        source: See ``read_statistics``.
        index: See there.
        numbers: See there.
        file: See there.
        per_episode: See there.
        path: The recording.
        cache: False to keep nothing, True for the file beside the recording, or a path.
        on_progress: See ``read_statistics``.

    Raises:
        CorruptRecordingError: As of ``read_statistics``.
        OptionError: If ``cache`` is none of these.
    """
    if not isinstance(cache, (bool, str, os.PathLike)):
        raise OptionError(f"cache: expected True, False or a path, got {cache!r:.80}")
    read = partial(read_statistics, source, index, numbers, file, per_episode=per_episode, on_progress=on_progress)
    if cache is False:
        return read()
    key = _key(source, index, numbers, file, per_episode=per_episode)
    is_whole = len(numbers) == index.num_episodes and (numbers == np.arange(len(numbers))).all()
    sidecar = _beside(path, "" if is_whole else _digest(numbers)[:8]) if cache is True else given_path(cache)
    try:
        kept = _kept(sidecar, key)
    except (OSError, OptionError) as error:
        warn(f"cache: {sidecar} cannot be read as statistics, and is left as it is: {error}")
        return read()
    if kept is None:
        kept = read()
        _keep(sidecar, key, kept)
    return kept


def _beside(path: Path, digits: str) -> Path:
    return path.with_name(f"{path.name}.{digits}.stats.json" if digits else f"{path.name}.stats.json")


def _key(source: LeafSource, index: EpisodeIndex, numbers: np.ndarray, file: str, *, per_episode: bool) -> _Key:
    spans = (each[numbers] for each in index.spans)
    episodes = _digest(numbers, *spans, *(index.column(name)[numbers] for name in ("returns", "complete")))
    return _Key(file, index.num_rows, index.num_episodes, source.spans.num_steps, episodes, bool(per_episode))


def _digest(*arrays: np.ndarray) -> str:
    digest = blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _kept(sidecar: Path, key: _Key) -> Statistics | None:
    """The statistics in a file; None if there is no file, or it has those of another key.

    Raises:
        OSError: If the file cannot be read.
        OptionError: If it is no file of statistics.
    """
    try:
        descriptor = open_unlinked(sidecar, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise OptionError(f"it has more than {_MAX_BYTES:,} bytes")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"it is no JSON text: {error!r:.200}") from error
    if type(content) is not dict or content.get("kind") != _KIND:
        raise OptionError(f"it is not of the kind {_KIND!r}")
    return Statistics.from_tree(content.get("statistics")) if content.get("key") == asdict(key) else None


def _keep(sidecar: Path, key: _Key, statistics: Statistics) -> None:
    """Write a file of statistics, complete or not at all, in the place of the one that is there."""
    content = {"kind": _KIND, "key": asdict(key), "statistics": statistics.to_tree()}
    data = json.dumps(content, allow_nan=False).encode("ascii")
    if len(data) > _MAX_BYTES:
        warn(f"cache: these statistics have {len(data):,} bytes, more than {_MAX_BYTES:,}, and are not kept")
        return
    # Its own name: two processes may keep the same statistics at the same time.
    partial = sidecar.with_name(f"{sidecar.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        partial.unlink(missing_ok=True)  # left by a process that died
        _write(partial, data)
        partial.replace(sidecar)
    except OSError as error:
        warn(
            f"cache: the statistics are not kept, as {sidecar} cannot be written: {error.strerror}. "
            "Name a file in another directory, as in stats(cache='run.stats.json')"
        )
        partial.unlink(missing_ok=True)


def _write(partial: Path, data: bytes) -> None:
    descriptor = open_unlinked(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # so that after a power cut the name does not lead to an empty file
