"""Snapshots: the state that a reset depends on, taken before it and restored before the reset is run again.

``provider`` is the protocol. ``generators``, ``ale`` and ``mujoco`` implement it; ``generator_places`` lists the
objects that may hold a generator. ``snapshot_set`` asks all providers, also those of users and of installed packages.
"""
