"""``Findings``: a million wrong rows are one problem."""

from __future__ import annotations

import numpy as np

from gym_h5record.maintenance.validation.problems import Findings


def test_the_first_place_is_told_and_the_others_are_counted() -> None:
    findings = Findings()
    findings.add_where("type-code", "rewards", np.array([False, True, True]), 10, lambda at: f"item {at}")
    findings.add_where("type-code", "rewards", np.array([True]), 20, lambda at: "later")
    (problem,) = findings.problems()
    assert problem.place == "/rewards row 11"
    assert problem.message == "item 1; likewise 2 more rows"


def test_one_of_a_kind_is_told_without_a_count() -> None:
    findings = Findings()
    findings.add("episode-id", "episodes/ids", 3, "it is -1", unit="episode")
    (problem,) = findings.problems()
    assert (problem.place, problem.message) == ("/episodes/ids episode 3", "it is -1")


def test_nothing_wrong_is_no_problem() -> None:
    findings = Findings()
    findings.add_where("dones", "dones", np.zeros(3, bool), 0, lambda at: "never")
    assert findings.problems() == []


def test_kinds_and_columns_are_told_apart_in_the_order_they_were_found() -> None:
    findings = Findings()
    for code, name in (("padding", "b"), ("dones", "a"), ("padding", "a"), ("padding", "b")):
        findings.add(code, name, 0, "x")
    assert [(each.code, each.place) for each in findings.problems()] == [
        ("padding", "/b row 0"),
        ("dones", "/a row 0"),
        ("padding", "/a row 0"),
    ]
