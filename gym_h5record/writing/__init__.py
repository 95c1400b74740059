"""Writing: rows into the journal, the journal into the file, in one process or two.

``rows`` and ``puts`` are the hot path, ``drain`` and ``index`` the commit. A
``worker`` drains: ``inline`` in the stepping process, ``child`` in a process of
its own, whose main loop is ``process``. ``session`` is what a recorder holds on
to, ``recovery`` the drain of what a dead one left. No environment is known here.
"""
