"""The catalogue: every kind of problem there is, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from gym_h5record.maintenance import validation
from gym_h5record.maintenance.validation.problems import CATALOGUE, make_problem, quote, reason

PACKAGE = Path(validation.__file__).parent


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


def test_a_quotation_is_escaped() -> None:
    assert quote("\x1b[31m") == r"'\x1b[31m'"


def test_a_reason_does_not_repeat_the_path_and_is_short() -> None:
    path = Path("/some/where/run.h5")
    assert reason(ValueError(f"{path}: /rewards is short"), path) == "/rewards is short"
    assert reason(ValueError(f"{path} is short"), path) == "it is short"
    assert reason(KeyError(), path) == "KeyError"
    assert len(reason(ValueError("x" * 1000), path)) <= 160
