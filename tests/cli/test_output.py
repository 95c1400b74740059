"""Sizes, escapes, lines and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.table import Table

from gym_h5record.cli.output import file_bytes, json_value, safe, show, show_line, size_text


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (999_499, "999 kB"), (999_600, "1.00 MB")],
)
def test_sizes_have_three_digits(num_bytes: int, text: str) -> None:
    assert size_text(num_bytes) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain, ключ, 😀", "plain, ключ, 😀"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\t\0", r"a\nb\r\t\x00"),
        ("\u202egnp", r"\u202egnp"),
        ("\x9b31m", r"\x9b31m"),
        ("\udcff", r"\udcff"),
    ],
)
def test_text_for_rich_is_escaped(text: str, escaped: str) -> None:
    assert safe(text).plain == escaped


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1.5, np.nan, np.inf]), [1.5, None, None]),
        (np.bool_(True), True),
        ({1: (2, {3})}, {"1": [2, [3]]}),
        (b"\x00", "b'\\x00'"),
        (np.array([1, "x"], dtype=object), [1, "x"]),
    ],
)
def test_any_value_becomes_strict_json(value: Any, expected: Any) -> None:
    assert json.loads(json.dumps(json_value(value), allow_nan=False)) == expected


def test_a_table_of_numbers_is_wider_than_the_terminal_if_it_has_to_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = Table(*(str(number) for number in range(20)), box=None)
    table.add_row(*("12345" for _ in range(20)))
    show(table, whole=True)
    assert capsys.readouterr().out.splitlines()[1].split() == ["12345"] * 20
    show(table)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


def test_a_sentence_is_one_line_in_a_pipe_and_is_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    show_line("a [red]sentence[/red] that is longer than twenty characters\x1b")
    assert capsys.readouterr().out == "a [red]sentence[/red] that is longer than twenty characters\\x1b\n"


def test_a_sentence_breaks_between_words_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_line("breakout.h5: 497 steps, 792 kB")
    assert capsys.readouterr().out == "breakout.h5: 497\nsteps, 792 kB\n"


def test_a_file_that_does_not_exist_yet_has_no_bytes(tmp_path: Path) -> None:
    assert file_bytes(tmp_path / "run.h5") == 0
    (tmp_path / "run.h5").write_bytes(b"abc")
    assert file_bytes(tmp_path / "run.h5") == 3
