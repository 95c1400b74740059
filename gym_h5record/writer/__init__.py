"""Writing: rows into the journal, the journal into the file, in one process or two.

``rows`` is the hot path, ``drain`` the commit, ``process`` the loop that drains
in a process of its own, ``session`` what a recorder holds on to, ``recovery``
the drain of what a dead recorder left. No environment is known here.
"""

from gym_h5record.writer.recovery import recover
from gym_h5record.writer.rows import RowWriter
from gym_h5record.writer.session import Options, Session

__all__ = ["Options", "RowWriter", "Session", "recover"]
