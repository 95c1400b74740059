"""Record any Gymnasium environment into one HDF5 file, read it, replay it exactly.

::

    cli                    the command line
    repair                 complete a recording that was interrupted
    recorder  replay       environment -> file, file -> environment
    writer    reader       rows -> journal -> commit; file -> exact values
    journal   layout       the mapped ring; the HDF5 file
    ragged  schema_json  first_row   values of varying size; the schema as text; planning
    schema                 spaces -> columns
    nodes                  what a column can be
    frames    provenance   where pictures and metadata come from
    codecs    spaces       triggers  lock
    tagged
    errors    tree         atomic  format  superblock

A module imports from lower lines only.
"""

from gym_h5record import errors
from gym_h5record.errors import RecordingError
from gym_h5record.reader import Column, Episode, Recording
from gym_h5record.recorder import RecordToHDF5
from gym_h5record.repair import RepairReport, repair
from gym_h5record.replay import ReplayFromHDF5
from gym_h5record.replay import register as _register
from gym_h5record.version import __version__

__all__ = [
    "Column",
    "Episode",
    "RecordToHDF5",
    "Recording",
    "RecordingError",
    "RepairReport",
    "ReplayFromHDF5",
    "__version__",
    "errors",
    "repair",
]

_register()
