"""Kinds of generators: what is one, and what is not."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from gym_h5record.recorder.snapshots.generator_kinds import BY_TYPE, KINDS, jax_kind, kind_of

NO_GENERATORS = [None, 3, "rng", np.zeros(2, np.uint32), np.random, random, np.random.PCG64(3), random.SystemRandom()]


@pytest.mark.parametrize(
    ("generator", "kind"),
    [
        (np.random.default_rng(3), "numpy"),
        (np.random.RandomState(3), "numpy-legacy"),
        (random.Random(3), "python"),
    ],
)
def test_every_generator_has_a_kind_that_takes_and_restores_it(generator: Any, kind: str) -> None:
    assert kind_of(generator) == BY_TYPE[type(generator)] == kind
    assert {"take", "restored"} <= set(dir(KINDS[kind]))


@pytest.mark.parametrize("value", NO_GENERATORS, ids=lambda value: type(value).__name__)
def test_other_values_have_none(value: Any) -> None:
    assert kind_of(value) is None
    assert jax_kind(value) is None
