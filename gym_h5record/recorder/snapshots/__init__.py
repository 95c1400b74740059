"""Snapshots: the state that a reset depends on, taken before it and restored before the reset is run again.

``provider`` is the protocol. ``generators``, ``ale`` and ``mujoco`` implement it. ``generator_kinds`` has the kinds of
generators, ``generator_places`` the layers and spaces that may hold one. ``deep_generators`` remembers those inside
objects; ``generator_search`` finds them and ``object_paths`` names their places. ``snapshot_set`` asks all providers,
also those of users and of installed packages.
"""
