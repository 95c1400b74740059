"""The parts of ``scripts/crash_test.py``: it kills recorders and checks the files that they leave.

::

    plays         environments, and episodes that follow from their seeds
    studio        the environment that has everything, and which of its episodes are discarded
    courses       what an agent does with vector environments, and what the file holds at every instant of that
    lanes         the vector environments, whose every value tells its place
    recorders     starts the recorder of any of these environments, and plays
    promises      what a file has to hold after so many steps and discarded episodes
    victim        the program that is killed: records, or repairs
    processes     starts victims, finds their writers, kills them
    kills         kills at random instants
    cycles        kills recorders that append to one file, one after the other
    tracing       stops a victim before each of its writes (ptrace)
    scenes        the recordings and repairs that are stopped at their writes
    boundaries    inspects the files that a kill at such a stop would leave
    inspection    repairs a file and compares it with the acknowledged steps
    lane_inspection   the same of a vector recording, with its course
    lane_following    compares what a live reader sees of a vector recording, for ``scripts/tail_test.py``
    findings      what an inspection has found
    inspector     runs the inspection in a process of its own, which may crash or hang
    tally         adds up the findings, and makes the table
"""
