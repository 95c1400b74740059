"""Record any Gymnasium environment into one HDF5 file, read it, replay it exactly.

The names below are loaded when they are first used: a program that only reads
loads nothing that writes. The rooms of the package and the layers between them
are listed in ``pyproject.toml``, where import-linter checks them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gym_h5record.registration import register_with_gymnasium as _register_with_gymnasium
from gym_h5record.version import __version__ as __version__

if TYPE_CHECKING:  # type checkers take only ``X as X`` for a public name
    from gym_h5record import errors as errors
    from gym_h5record import training as training
    from gym_h5record import vector as vector
    from gym_h5record.errors import RecordingError as RecordingError
    from gym_h5record.maintenance.comparing import DiffReport as DiffReport
    from gym_h5record.maintenance.comparing import diff as diff
    from gym_h5record.maintenance.masking import add_mask as add_mask
    from gym_h5record.maintenance.repairs.repairing import RepairReport as RepairReport
    from gym_h5record.maintenance.repairs.repairing import RowCount as RowCount
    from gym_h5record.maintenance.repairs.repairing import repair as repair
    from gym_h5record.maintenance.validation.problems import Problem as Problem
    from gym_h5record.maintenance.validation.problems import Severity as Severity
    from gym_h5record.maintenance.validation.validator import validate as validate
    from gym_h5record.media.videos import to_video as to_video
    from gym_h5record.reading.columns import Column as Column
    from gym_h5record.reading.episodes import Episode as Episode
    from gym_h5record.reading.recording import Recording as Recording
    from gym_h5record.reading.selection import Selection as Selection
    from gym_h5record.recorder.snapshots.provider import SnapshotProvider as SnapshotProvider
    from gym_h5record.recorder.wrapper import RecordToHDF5 as RecordToHDF5
    from gym_h5record.recorder.writer import Writer as Writer
    from gym_h5record.replay.branching import branch as branch
    from gym_h5record.replay.curriculum import ResetFromRecording as ResetFromRecording
    from gym_h5record.replay.environment import ReplayFromHDF5 as ReplayFromHDF5
    from gym_h5record.replay.evaluation.evaluator import evaluate as evaluate
    from gym_h5record.replay.evaluation.reports import EvaluationReport as EvaluationReport
    from gym_h5record.replay.reports import Divergence as Divergence
    from gym_h5record.replay.reports import EpisodeReport as EpisodeReport
    from gym_h5record.replay.reports import Verdict as Verdict
    from gym_h5record.replay.reports import VerifyReport as VerifyReport
    from gym_h5record.replay.sticky_actions import executed_actions as executed_actions
    from gym_h5record.replay.verification import verify as verify
    from gym_h5record.training.normalizer import Normalizer as Normalizer
    from gym_h5record.training.replay_buffer import ReplayBuffer as ReplayBuffer
    from gym_h5record.values.custom_spaces import OpaqueSpace as OpaqueSpace
    from gym_h5record.values.custom_spaces import register_space as register_space
else:
    _NAMES_BY_MODULE = {
        "errors": ("RecordingError",),
        "maintenance.comparing": ("DiffReport", "diff"),
        "maintenance.masking": ("add_mask",),
        "maintenance.repairs.repairing": ("RepairReport", "RowCount", "repair"),
        "maintenance.validation.problems": ("Problem", "Severity"),
        "maintenance.validation.validator": ("validate",),
        "media.videos": ("to_video",),
        "reading.columns": ("Column",),
        "reading.episodes": ("Episode",),
        "reading.recording": ("Recording",),
        "reading.selection": ("Selection",),
        "recorder.snapshots.provider": ("SnapshotProvider",),
        "recorder.wrapper": ("RecordToHDF5",),
        "recorder.writer": ("Writer",),
        "replay.branching": ("branch",),
        "replay.curriculum": ("ResetFromRecording",),
        "replay.environment": ("ReplayFromHDF5",),
        "replay.evaluation.evaluator": ("evaluate",),
        "replay.evaluation.reports": ("EvaluationReport",),
        "replay.reports": ("Divergence", "EpisodeReport", "Verdict", "VerifyReport"),
        "replay.sticky_actions": ("executed_actions",),
        "replay.verification": ("verify",),
        "training.normalizer": ("Normalizer",),
        "training.replay_buffer": ("ReplayBuffer",),
        "values.custom_spaces": ("OpaqueSpace", "register_space"),
    }
    _MODULE_OF = {name: f"{__name__}.{module}" for module, names in _NAMES_BY_MODULE.items() for name in names}
    _MODULES = ("errors", "training", "vector")
    __all__ = ["__version__", *_MODULES, *_MODULE_OF]

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return value

    def __dir__() -> list[str]:
        return __all__


_register_with_gymnasium()
