"""The parts of ``scripts/fuzz_files.py`` and ``tests/hostile``: hostile files, and every way to open them.

::

    subjects      small good recordings, from which hostile files are made
    sites         a directory with a file, the files beside it, and files outside that must not be touched
    entries       every way of opening a file that the package offers
    harvest       searches everything that an entry returns for data that must not be in it
    worker        a process of limited memory and time that runs entries
    prober        asks the worker, and notices when it crashes or hangs
    mutations     changes bytes of a good recording
    tally         adds up the outcomes, and makes the table
"""
