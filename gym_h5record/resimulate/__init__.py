"""Running recorded episodes again on the real environment.

``rerun`` puts an environment where an episode began and steps it; ``lineage`` says
which episodes have to be run for that; ``check`` compares, ``passes`` one episode
after the other; ``verify`` does so for whole recordings and ``reports`` says what
came out; ``branch`` stops at a step and hands the environment over. ``curriculum``
begins episodes there, ``sticky`` finds out what ALE has executed.
"""

from gym_h5record.resimulate.branch import Branch, branch
from gym_h5record.resimulate.curriculum import ResetFromRecording
from gym_h5record.resimulate.reports import Divergence, EpisodeReport, Verdict, VerifyReport
from gym_h5record.resimulate.sticky import executed_actions
from gym_h5record.resimulate.verify import verify

__all__ = [
    "Branch",
    "Divergence",
    "EpisodeReport",
    "ResetFromRecording",
    "Verdict",
    "VerifyReport",
    "branch",
    "executed_actions",
    "verify",
]
