"""Validation: what is wrong with a recording, found without changing or believing it.

``validate`` is the door. ``structure`` looks at how the file is put together,
``metadata`` at its attributes, ``contents`` reads every row. ``catalogue`` has
every kind of problem.
"""

from gym_h5record.validation.problem import Problem, Severity
from gym_h5record.validation.structure import structure_problems
from gym_h5record.validation.validate import validate

__all__ = ["Problem", "Severity", "structure_problems", "validate"]
