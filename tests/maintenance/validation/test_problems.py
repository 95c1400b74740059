"""Problems: what one is, every kind there is, and a million wrong rows that become one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gym_h5record import Problem, Severity
from gym_h5record.format.nodes import Field, Text
from gym_h5record.maintenance import validation
from gym_h5record.maintenance.validation.problems import CATALOGUE, Findings, make_problem, quote, reason

PACKAGE = Path(validation.__file__).parent


def test_a_problem_is_one_line() -> None:
    problem = Problem(Severity.ERROR, "column-short", "/rewards", "it has 3 items")
    assert str(problem) == "error column-short at /rewards: it has 3 items"


def test_text_from_a_file_does_not_drive_the_terminal() -> None:
    assert "\x1b" not in str(Problem(Severity.WARNING, "code", "/\x1b[31m", "\x1b[0m\x07"))


def test_a_severity_is_its_text() -> None:
    assert (Severity.ERROR, Severity.WARNING) == ("error", "warning")


# The catalogue ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_kind_is_found_by_validation_and_provoked_by_a_test(code: str) -> None:
    sources = [path.read_text() for path in PACKAGE.glob("*.py") if path.stem != "problems"]
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    assert any(f'"{code}"' in source for source in sources)
    assert any(f'"{code}"' in test for test in tests)


def test_severity_and_remedy_come_from_the_catalogue() -> None:
    problem = make_problem("interrupted", "/", "it was left")
    assert problem.severity == "error"
    assert "gym-h5record repair FILE" in problem.remedy


@pytest.mark.parametrize("value", ["x" * 10_000, ["y"] * 10_000, b"z" * 10_000])
def test_a_quotation_is_short(value: object) -> None:
    assert len(quote(value)) <= 80


def test_what_python_cannot_print_is_quoted() -> None:
    assert quote([10**5000]) == "[an integer of 16610 bits]"


def test_a_quotation_is_escaped() -> None:
    assert quote("\x1b[31m") == r"'\x1b[31m'"


def test_a_reason_does_not_repeat_the_path_and_is_short() -> None:
    path = Path("/some/where/run.h5")
    assert reason(ValueError(f"{path}: /rewards is short"), path) == "/rewards is short"
    assert reason(ValueError(f"{path} is short"), path) == "it is short"
    assert reason(ValueError(f"{path}: {path}: /rewards is short"), path) == "/rewards is short"
    assert reason(ValueError(f"{path}.journal is short"), path) == "run.h5.journal is short"
    assert reason(KeyError(), path) == "KeyError"
    assert len(reason(ValueError("x" * 1000), path)) <= 160


# Findings --------------------------------------------------------------------------------------------


def test_the_first_place_is_told_and_the_others_are_counted() -> None:
    findings = Findings()
    assert findings.add_where("type-code", "rewards", np.array([False, True, True]), 10, lambda at: f"item {at}")
    findings.add_where("type-code", "rewards", np.array([True]), 20, lambda at: "later")
    (problem,) = findings.problems()
    assert problem.place == "/rewards row 11"
    assert problem.message == "item 1; likewise 2 more rows"


def test_one_of_a_kind_is_told_without_a_count() -> None:
    findings = Findings([Field("episodes/ids", np.dtype(np.int64))])
    findings.add("episode-id", "episodes/ids", 3, "it is -1")
    (problem,) = findings.problems()
    assert (problem.place, problem.message) == ("/episodes/ids episode 3", "it is -1")


def test_a_text_is_numbered_as_its_ends_are() -> None:
    findings = Findings([*Text("episodes/json").fields(), *Text("infos/json").fields()])
    for name in ("episodes/json", "infos/json", "infos/json/values"):
        findings.add("ragged", name, 3, "x", count=2)
    assert [(each.place, each.message) for each in findings.problems()] == [
        ("/episodes/json episode 3", "x; likewise 1 more episode"),
        ("/infos/json row 3", "x; likewise 1 more row"),
        ("/infos/json/values item 3", "x; likewise 1 more item"),
    ]


def test_nothing_wrong_is_no_problem() -> None:
    findings = Findings()
    assert not findings.add_where("dones", "dones", np.zeros(3, bool), 0, lambda at: "never")
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
