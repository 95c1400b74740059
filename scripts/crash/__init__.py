"""What ``scripts/crash_test.py`` is made of: recorders that are killed, and what is left of them.

::

    plays         what is recorded: episodes that follow from their seeds
    victim        the program that records, or repairs, until it is killed
    processes     starts victims, finds their writers, kills them
    kills         kills at random instants
    cycles        kills and resumes, over and over, on one file
    tracing       stops a victim before each of its writes (ptrace)
    scenes        what is stopped there
    boundaries    what a kill at each of these stops would leave
    inspection    repairs what is left and compares it with what had been acknowledged
    inspector     does that in a process of its own, which may crash or hang
    tally         adds it up, and makes the table
"""
