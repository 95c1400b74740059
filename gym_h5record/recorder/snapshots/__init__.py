"""What a reset depends on, taken before it and put back before it is done again.

``provider`` is the protocol, ``generators``, ``ale`` and ``mujoco`` are the simulators
that are known, ``snapshots`` asks all of them. No file is known here.
"""
