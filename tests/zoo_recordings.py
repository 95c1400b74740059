"""A recording of every space of the zoo, made once for all tests that only read it, with what passed in it.

To make one takes 100 ms, and four modules read all of them.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.reading import record
from tests.zoo import SPACES_BY_ID, Played, ZooEnv

LENGTHS = (9, 4, 0, 2)
"""Steps of the episodes. The environment ends the first one; the third one has a reset alone."""


@dataclass(frozen=True)
class ZooRecording:
    """A closed recording of ``ZooEnv(space)``, whose actions are of the space, too; no test may change it.

    Attributes:
        path: The file.
        played: What passed in its episodes.
    """

    path: Path
    played: list[Played]

    @property
    def observations(self) -> list[Any]:
        """The observations of all rows."""
        return [each for episode in self.played for each in episode.observations]


@functools.cache
def zoo_recording(name: str) -> ZooRecording:
    """The recording of a space of ``SPACES_BY_ID``."""
    path = _shelf() / f"{len(list(_shelf().iterdir()))}.h5"
    return ZooRecording(path, record(path, ZooEnv(SPACES_BY_ID[name]), LENGTHS))


@functools.cache
def _shelf() -> Path:
    """A directory that lives as long as this process; a fork of it that ends leaves the directory alone."""
    shelf, owner = Path(tempfile.mkdtemp(prefix="zoo")), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(shelf))
    return shelf
