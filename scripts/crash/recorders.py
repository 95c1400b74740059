"""Starts the recorder of an environment, of a vector environment too, and says what its agent does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# From the modules that define them: the package itself loads its names at their first use. That takes 0.1 s, and kills
# shall hit the work, not the loading.
from gym_h5record.recorder.wrapper import RecordToHDF5

from . import lanes
from .plays import LIFE, fate_of, make_env, play, recorder_options
from .studio import Fate

__all__ = ["acts", "load", "record"]


def load(name: str) -> None:
    """Load the libraries of an environment."""
    (lanes.make_envs(name) if lanes.has_lanes(name) else make_env(name)).close()


def record(name: str, life: int, path: Path | str, **options: Any) -> Any:
    """A recorder of one of ``plays.ENVIRONMENTS`` or ``courses.COURSES``.

    Args:
        name: The environment.
        life: Its number among the recorders of the file.
        path: The recording.
        **options: As of ``RecordToHDF5``.
    """
    if lanes.has_lanes(name):
        return lanes.record(name, life, path, **options)
    return RecordToHDF5(make_env(name), path, **options, **recorder_options(name))


def acts(recorder: Any, name: str, life: int) -> Iterator[None]:
    """Play for ever, and discard some episodes. Yields when an act has returned, see ``promises``."""
    if lanes.has_lanes(name):
        yield from lanes.acts(recorder, name, life)
        return
    for seed in itertools.count(life * LIFE):
        for moment in play(recorder, seed):
            if moment.action is not None:
                yield
        if fate_of(name, seed) is Fate.DISCARDED:
            recorder.discard_episode()
            yield
