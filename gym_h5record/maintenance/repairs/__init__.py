"""Repairing recordings that were not closed, and saving the readable rows of damaged ones.

``repairing.repair`` is the entry point. ``diagnosis`` reads the file and its journal without changing either.
``salvaging`` copies the readable rows of a ``damaged_recording`` into a new file, as ``salvaged_episodes``.
"""
