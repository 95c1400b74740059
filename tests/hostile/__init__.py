"""Hostile files: none may crash a reader, make it hang, or make it read or write another file.

``cases`` defines a case. ``links``, ``storage``, ``chunks``, ``attributes``, ``texts``, ``spaces``, ``schemas``,
``index``, ``superblocks``, ``places``, ``stacks``, ``packed``, ``lanes``, ``journals`` and ``journal_rows`` have the cases;
the last three change journals with ``journal_bytes``. ``files`` collects all cases.
"""
