"""Schemas and fields, for the tests of the format."""

import numpy as np
from gymnasium.spaces import Discrete

from gym_h5record.format.column_planning import plan_space
from gym_h5record.format.schema import Schema


def make_schema(observation=None, action=None, **others):
    """A schema for two spaces, with as little else as possible."""
    return Schema(
        plan_space(Discrete(2) if observation is None else observation, "observations"),
        plan_space(Discrete(2) if action is None else action, "actions"),
        **{"frame": None, "infos": None, **others},
    )


def names(fields):
    return [field.name for field in fields]


def check_fields(fields):
    """Fail unless fields can be datasets of one file, parents before children."""
    every = names(fields)
    assert len(set(every)) == len(every), "two fields share a name"
    ends = {field.name for field in fields if field.is_ends}
    seen = set()
    for field in fields:
        parts = field.name.split("/")
        assert "" not in parts
        assert "." not in parts
        assert field.parent is None or (field.parent in ends and field.parent in seen)
        assert not field.is_ends or (field.dtype, field.shape) == (np.int64, ())
        assert 0 not in field.shape
        seen.add(field.name)
    for name in every:
        assert not any(other.startswith(f"{name}/") for other in every), f"{name} is a dataset and a group"
