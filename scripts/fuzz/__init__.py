"""What ``scripts/fuzz_files.py`` and ``tests/hostile`` are made of: files from strangers, and everything done to them.

subjects      what the files are made from: small good recordings
sites         a directory with a file, what lies beside it, and what must not be touched
entries       every way of opening a file that the package offers
harvest       everything that they gave: is there anything in it that must not be?
worker        a process of limited means that goes through the entries
prober        asks it, and notices when it crashes or hangs
mutations     changes bytes of a good recording
tally         adds up what became of it, and makes the table
"""
