"""Recorded episodes played again: from the file, on the real environment, or by another policy.

``environment`` plays the file back; ``rebuild`` makes the recorded environment from its spec. ``verification`` runs
episodes again on that environment and compares them, ``branching`` stops at a step and hands the environment over,
``curriculum`` begins episodes there, ``sticky_actions`` lists the actions that ALE executed. They share ``rerun``,
``lineage``, ``episode_check`` and ``episode_sequence``. The modules ``vector_*`` do the same for vector recordings:
``vector_environment`` plays one back, ``vector_check`` compares one with the real environments. ``evaluation/``
compares a policy with the recorded actions.

``ReplayFromHDF5`` is exported here because recorded specs name it ``gym_h5record.replay:ReplayFromHDF5``.
"""

from gym_h5record.replay.environment import ReplayFromHDF5

__all__ = ["ReplayFromHDF5"]
