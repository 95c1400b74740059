"""What a reset depends on, taken before it and put back before it is done again.

``provider`` is the protocol, ``generators``, ``ale`` and ``mujoco`` are the simulators
that are known, ``snapshots`` asks all of them. No file is known here.
"""

from gym_h5record.snapshots.ale import AleProvider
from gym_h5record.snapshots.generators import GeneratorProvider
from gym_h5record.snapshots.mujoco import MujocoProvider
from gym_h5record.snapshots.provider import SnapshotProvider
from gym_h5record.snapshots.snapshots import Snapshots, make_snapshots

__all__ = [
    "AleProvider",
    "GeneratorProvider",
    "MujocoProvider",
    "SnapshotProvider",
    "Snapshots",
    "make_snapshots",
]
