"""HDF5 made safe: against crashes while it writes, and against hostile files while it reads.

``crash_safe_file`` and ``redo_log`` keep the file whole at every instant. ``guarded_file``, ``block_checks``,
``objects`` and ``chunks`` check the claims of a file before HDF5 acts on them. All guards against hostile files stand
in this room; other modules use them and have none of their own.
"""
