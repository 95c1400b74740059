"""Writing: rows go into the journal, and from the journal into the file, in one process or in two.

- Every step: ``row_writer`` appends a row, ``encoders`` copy its values into the ``journal``, a ring in a mapped file.
  ``journal_rows`` says where each column lies, ``segments`` has the parts of varying size, ``journal_control`` has the
  words that the two processes share.
- Every commit: ``commit`` moves rows from the journal into the file, ``index_writer`` writes the entries of episodes.
- Once per recording: a ``session`` claims the path (``claim``) and starts the ``worker`` that drains. This is an
  ``inline_worker`` in the stepping process, or a ``process_worker``, whose process runs ``writer_process``.
- After a crash: ``recovery`` drains the journal that ``left_journal`` finds; ``dry_run`` tries it without writing.

No module of this room knows an environment.
"""
