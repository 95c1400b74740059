"""From an environment to rows: the wrapper, and what it asks the environment for.

``wrapper`` is ``RecordToHDF5``. ``episode_stream`` turns what it sees into rows of a recording; ``triggers`` say which
episodes are recorded; ``frame_sources`` give pictures, also those of the user's ``cameras``; ``provenance`` describes
the environment in the metadata; ``snapshots/`` keep what a reset depends on. Journal and file belong to
``gym_h5record.writing``.

``RecordToHDF5`` is exported here because specs of recorded environments name it
``gym_h5record.recorder:RecordToHDF5``: files outlive modules.
"""

from gym_h5record.recorder.wrapper import RecordToHDF5

__all__ = ["RecordToHDF5"]
