"""What ``scripts/power_cut_test.py`` is made of: recordings on a disk that loses its power.

history   every version of every page and name since they were last synced, and a disk made of them
tape      notes what this process does to the files of a folder
scenes    records, appends and repairs under a tape, and cuts the power at random moments
tally     adds up what is left, and makes the table
lag       how long it takes until a step is safe from a power cut
"""
