"""Writing: rows into the journal, the journal into the file, in one process or two.

``rows`` and ``puts`` are the hot path, ``drain`` and ``index`` the commit. A
``worker`` drains: ``inline`` in the stepping process, ``child`` in a process of
its own, whose main loop is ``process``. ``session`` is what a recorder holds on
to, ``recovery`` the drain of what a dead one left. No environment is known here.
"""

from gym_h5record.writer.options import Options, make_options
from gym_h5record.writer.recovery import recover
from gym_h5record.writer.rows import RowWriter, begin_json
from gym_h5record.writer.session import Session

__all__ = ["Options", "RowWriter", "Session", "begin_json", "make_options", "recover"]
