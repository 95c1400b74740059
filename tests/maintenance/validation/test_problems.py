"""``Problem``: what is wrong, as a value."""

from __future__ import annotations

from gym_h5record import Problem, Severity


def test_a_problem_is_one_line() -> None:
    problem = Problem(Severity.ERROR, "column-short", "/rewards", "it has 3 items")
    assert str(problem) == "error column-short at /rewards: it has 3 items"


def test_text_from_a_file_does_not_drive_the_terminal() -> None:
    assert "\x1b" not in str(Problem(Severity.WARNING, "code", "/\x1b[31m", "\x1b[0m\x07"))


def test_a_severity_is_its_text() -> None:
    assert (Severity.ERROR, Severity.WARNING) == ("error", "warning")
