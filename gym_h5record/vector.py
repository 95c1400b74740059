"""Vector environments: one file, a lane for each environment."""

from gym_h5record.recorder.vector_wrapper import RecordToHDF5 as RecordToHDF5
from gym_h5record.replay.vector_environment import ReplayFromHDF5 as ReplayFromHDF5

__all__ = ["RecordToHDF5", "ReplayFromHDF5"]
