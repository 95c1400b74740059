"""Record any Gymnasium environment into one HDF5 file, read it, replay it exactly.

::

    cli                    the command line
    evaluation             a policy against recorded episodes
    resimulate             recorded episodes, run again
    rebuild                file -> the environment that was recorded
    recorder  replay       environment -> file, file -> environment
    diff   metadata_diff   where two recordings differ first
    tape                   one recording being made
    recording              the front door to a file
    repair                 complete a recording that was interrupted
    survey                 what a dead recorder left
    salvage   validation   save what can be read; say what is wrong
    pieces                 episodes of what is left of the rows
    writer    reader       rows -> journal -> commit; file -> exact values
    state                  closed, live or interrupted
    journal   layout       the mapped ring; the HDF5 file
    column                 one dataset: whole chunks
    chunks                 a stored chunk, as items
    guard                  HDF5 objects of a file that may be a stranger's
    threads                HDF5 is for one at a time
    ragged  schema_json  first_row  checksums   values of varying size; the schema as text; planning
    schema                 spaces -> columns
    nodes                  what a column can be
    frames    provenance   where pictures and metadata come from
    env_spec  wrapped_spec an environment's spec as text; with every wrapper
    snapshots              what a reset depends on
    codecs    szip  spaces triggers  lock  durable_file  segments  states
    tagged    superblock   named     compare  blocks   journal_file
    errors    tree         atomic    format  shown    distance
    limits    printable    boot      forks   signals  streams   installed  lookup3  control

A module imports from lower lines only.
"""

from gym_h5record import errors
from gym_h5record.diff import DiffReport, diff
from gym_h5record.errors import RecordingError
from gym_h5record.evaluation import EvaluationReport, evaluate
from gym_h5record.reader import Column, Episode
from gym_h5record.recorder import RecordToHDF5
from gym_h5record.recording import Recording
from gym_h5record.repair import Amount, RepairReport, repair
from gym_h5record.replay import ReplayFromHDF5
from gym_h5record.replay import register as _register
from gym_h5record.resimulate import (
    Divergence,
    EpisodeReport,
    ResetFromRecording,
    Verdict,
    VerifyReport,
    branch,
    executed_actions,
    verify,
)
from gym_h5record.snapshots import SnapshotProvider
from gym_h5record.validation import Problem, Severity, validate
from gym_h5record.version import __version__

__all__ = [
    "Amount",
    "Column",
    "DiffReport",
    "Divergence",
    "Episode",
    "EpisodeReport",
    "EvaluationReport",
    "Problem",
    "RecordToHDF5",
    "Recording",
    "RecordingError",
    "RepairReport",
    "ReplayFromHDF5",
    "ResetFromRecording",
    "Severity",
    "SnapshotProvider",
    "Verdict",
    "VerifyReport",
    "__version__",
    "branch",
    "diff",
    "errors",
    "evaluate",
    "executed_actions",
    "repair",
    "validate",
    "verify",
]

_register()
