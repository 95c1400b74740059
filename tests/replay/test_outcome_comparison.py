"""What an environment gives is compared with the recorded values, in all columns that both have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gym_h5record.replay.outcome_comparison import ComparisonRules, OutcomeComparison, make_comparison_rules, raised
from gym_h5record.replay.rerun import Outcome
from gym_h5record.values.differences import ABSENT
from gym_h5record.values.tagged_json import tag, untag

EPISODE: Any = SimpleNamespace(
    number=4,
    observations=[np.zeros(2), np.ones(2)],
    frames=[np.zeros((1, 1, 3), np.uint8), None],
    infos=[{"t": 1, "a": {"b": 2.0}}, {}],
    rewards=[1.5],
    terminations=[True],
    truncations=[False],
)


def compared(rules: ComparisonRules | None = None) -> OutcomeComparison:
    return OutcomeComparison(EPISODE, rules or make_comparison_rules())


def outcome(**parts: Any) -> Outcome:
    told = {"observation": np.zeros(2), "info": {"t": 1, "a": {"b": 2.0}}, "frame": EPISODE.frames[0], **parts}
    return Outcome(**told)


def test_equal_values_are_no_difference() -> None:
    assert compared().row(0, outcome()) is None
    assert compared().row(0, outcome(frame=ABSENT)) is None
    assert compared().step(0, outcome(step=(1.5, True, False))) is None


@pytest.mark.parametrize(
    ("parts", "leaf"),
    [
        ({"observation": np.array([0.0, 1.0])}, "observations[1]"),
        ({"frame": np.ones((1, 1, 3), np.uint8)}, "frames[0, 0, 0]"),
        ({"info": {"t": 2, "a": {"b": 2.0}}}, "infos/t"),
        ({"info": {"t": 1, "a": {"b": 3.0}}}, "infos/a/b"),
    ],
    ids=["observation", "frame", "info", "nested info"],
)
def test_each_column_of_a_row_is_compared(parts: dict[str, Any], leaf: str) -> None:
    found = compared().row(0, outcome(**parts))
    assert found is not None
    assert (found.episode, found.step, found.leaf) == (4, 0, leaf)


@pytest.mark.parametrize(
    ("step", "leaf"),
    [((2.5, True, False), "rewards"), ((1.5, False, False), "terminations"), ((1.5, True, True), "truncations")],
    ids=["reward", "terminated", "truncated"],
)
def test_each_column_of_a_step_is_compared(step: Any, leaf: str) -> None:
    found = compared().step(0, outcome(step=step))
    assert found is not None
    assert (found.step, found.leaf) == (0, leaf)


@pytest.mark.parametrize("path", ["t", "a/b"])
def test_ignored_infos_are_not_compared(path: str) -> None:
    other = outcome(info={"t": 1, "a": {"b": 2.0}} | ({"t": 9} if path == "t" else {"a": {"b": 9.0}}))
    assert compared().row(0, other) is not None
    assert compared(make_comparison_rules(ignore=path)).row(0, other) is None


def test_a_tolerance_holds_for_floating_numbers() -> None:
    near = outcome(observation=np.array([0.0, 1e-9]))
    assert compared().row(0, near) is not None
    assert compared(make_comparison_rules(1e-6)).row(0, near) is None


class Thing:
    """An object that the file has only as text."""

    def __repr__(self) -> str:
        return "<thing>"


def test_values_that_are_only_text_are_noted() -> None:
    episode: Any = SimpleNamespace(number=0, observations=[untag(tag(Thing()))], frames=None, infos=None)
    comparison = OutcomeComparison(episode, make_comparison_rules())
    assert comparison.row(0, Outcome(Thing(), {}, ABSENT)) is None
    assert list(comparison.texts) == ["observations"]


def test_an_error_of_the_environment_is_told_with_what_it_was_given() -> None:
    found = raised(EPISODE, 3, "actions", 7, ValueError("no"))
    assert (found.episode, found.step, found.recorded) == (4, 3, 7)
    assert found.message == "actions: the environment raised ValueError('no')"
