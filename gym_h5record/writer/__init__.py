"""Writing: rows into the journal, the journal into the file, in one process or two.

``rows`` and ``puts`` are the hot path, ``drain`` and ``index`` the commit. A
``worker`` drains: ``inline`` in the stepping process, ``child`` in a process of
its own, whose main loop is ``process``. ``session`` is what a recorder holds on
to, ``recovery`` the drain of what a dead one left. No environment is known here.
"""

from gym_h5record.writer.options import Options, checked_on_error, make_options
from gym_h5record.writer.recovery import PATIENCE_S, check_belongs, is_outlived, recover_locked
from gym_h5record.writer.rehearsal import DRAIN_ERRORS, rehearse
from gym_h5record.writer.rows import RowWriter, begin_json
from gym_h5record.writer.session import Session
from gym_h5record.writer.worker import WRITE_ERRORS

__all__ = [
    "DRAIN_ERRORS",
    "PATIENCE_S",
    "WRITE_ERRORS",
    "Options",
    "RowWriter",
    "Session",
    "begin_json",
    "check_belongs",
    "checked_on_error",
    "is_outlived",
    "make_options",
    "recover_locked",
    "rehearse",
]
