"""Remembered places: read before every reset, searched for again when that is needed."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import RecordingWarning
from gym_h5record.recorder.snapshots import deep_generators
from gym_h5record.recorder.snapshots.deep_generators import DeepGenerators
from gym_h5record.recorder.snapshots.generator_search import MAX_PLACES, FoundPlace, find_places
from tests.recorder.snapshots.nested_envs import Holder, NestedEnv, Replacing


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for each search that is made."""
    made: list[int] = []

    def counted(*arguments: Any) -> list[FoundPlace]:
        made.append(1)
        return find_places(*arguments)

    monkeypatch.setattr(deep_generators, "find_places", counted)
    return made


def test_a_generator_is_given_with_its_layer_path_and_kind() -> None:
    env = Replacing()
    assert DeepGenerators().take([env], []) == [(0, '["game", "rng"]', env.game.rng, "numpy")]


def test_it_is_searched_for_less_and_less_often(searches: list[int]) -> None:
    deep, env = DeepGenerators(), Replacing()
    at = []
    for reset in range(600):
        before = len(searches)
        assert len(deep.take([env], [])) == 1
        at += [reset] * (len(searches) - before)
    assert at == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 384, 512]


def test_a_generator_that_was_replaced_needs_no_search(searches: list[int]) -> None:
    deep, env = DeepGenerators(), Replacing()
    for _ in range(3):
        deep.take([env], [])
    env.game = Holder(rng=random.Random(3))
    assert deep.take([env], [])[0][2:] == (env.game.rng, "python")
    assert len(searches) == 3


@pytest.mark.parametrize("instead", [None, 3, Holder(), [1]])
def test_a_place_that_has_none_any_more_leads_to_a_search(instead: Any, searches: list[int]) -> None:
    deep, env = DeepGenerators(), Replacing()
    for _ in range(3):
        deep.take([env], [])
    env.other = Holder(rng=np.random.default_rng(3))  # type: ignore[attr-defined]
    env.game = instead
    assert [each.path for each in deep.take([env], [])] == ['["other", "rng"]']
    assert len(searches) == 4


def test_another_environment_or_wrapper_is_searched_from_the_beginning(searches: list[int]) -> None:
    deep, env = DeepGenerators(), Replacing()
    wrapper = Holder(noise=Holder(rng=random.Random(3)))
    assert len(deep.take([env], [])) == 1
    assert len(deep.take([env, wrapper], [])) == 2
    assert len(deep.take([NestedEnv(), wrapper], [])) == 1
    assert len(searches) == 3


def test_more_generators_than_a_snapshot_keeps_are_a_warning_once() -> None:
    deep, env = DeepGenerators(), NestedEnv()
    env.rngs = [random.Random(3) for _ in range(MAX_PLACES + 1)]  # type: ignore[attr-defined]
    with pytest.warns(RecordingWarning, match="has more than 100 random generators inside its objects: snapshots keep"):
        assert len(deep.take([env], [])) == MAX_PLACES
    assert len(deep.take([env], [])) == MAX_PLACES


def test_a_copy_looks_at_the_copied_environment() -> None:
    deep, env = DeepGenerators(), Replacing()
    deep.take([env], [])
    other, twin = copy.deepcopy((deep, env))
    assert other.take([twin], [])[0].generator is twin.game.rng
