"""HDF5 made safe: against crashes while it writes, and against hostile files while it reads.

``crash_safe_file`` and ``redo_log`` keep the file whole at every instant; ``guarded_file``, ``block_checks``,
``objects`` and ``chunks`` check what a file claims before HDF5 acts on it. Everything that guards against hostile
files stands here, and nowhere else.
"""
