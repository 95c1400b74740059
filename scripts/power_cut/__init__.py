"""The parts of ``scripts/power_cut_test.py``: it cuts the power of a model of a disk.

::

    history   every version of every page and name of a folder, and the disks that a power cut may leave of them
    tape      notes everything that this process does to the files of a folder
    scenes    records, appends and repairs under a tape, and cuts the power at random moments
    tally     adds up the results, and makes the table
    lag       measures how long it takes until a step is safe from a power cut
"""
