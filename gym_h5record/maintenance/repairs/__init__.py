"""Recordings that were not closed: diagnosed, repaired, or salvaged into a new file.

``diagnosis`` looks at the file and its journal without changing either; ``repairing`` brings the journal into the
file; ``salvaging`` copies what is readable of a damaged file, by ``damaged_recording`` and ``salvaged_episodes``.
"""
