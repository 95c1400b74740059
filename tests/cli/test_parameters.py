"""Option values: numbers of episodes, and ``key=value`` pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from gym_h5record.cli.parameters import GivenPath, parse_episodes, parse_pairs

CONTEXT = click.Context(click.Command("record"))
OPTION = click.Option(["--option"])


@pytest.mark.parametrize(("text", "path"), [("~/run.h5", "/home/me/run.h5"), ("a/~", "a/~"), ("-", "-"), ("", ".")])
def test_a_path_may_begin_with_the_home_directory(text: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert GivenPath().convert(text, OPTION, CONTEXT) == Path(path)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [(None, None), ("0", [0]), ("0,3-5", [0, 3, 4, 5]), ("2-2", [2]), (" 1 , 0 ", [1, 0]), ("1,1", [1, 1])],
)
def test_episodes_are_numbers_and_ranges_in_the_order_given(text: str | None, numbers: list[int] | None) -> None:
    assert parse_episodes(CONTEXT, OPTION, text) == numbers


@pytest.mark.parametrize("text", ["", ",", "x", "-1", "5-3", "1-", "0-99999999999"])
def test_text_that_names_no_episodes_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected numbers and ranges such as 0,3-5, got"):
        parse_episodes(CONTEXT, OPTION, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("None", None),
        ("[1, 'a']", [1, "a"]),
        ("true", "true"),
        ("007", "007"),
        ("", ""),
        ("a=b", "a=b"),
        ("(" * 1000, "(" * 1000),
        ("\0", "\0"),
    ],
)
def test_pairs_are_literals_or_strings(text: str, value: Any) -> None:
    assert parse_pairs(CONTEXT, OPTION, (f"key={text}",)) == {"key": value}


@pytest.mark.parametrize("pair", ["", "key", "=3"])
def test_a_pair_without_key_or_equals_sign_is_wrong_usage(pair: str) -> None:
    with pytest.raises(click.BadParameter, match="expected key=value, got"):
        parse_pairs(CONTEXT, OPTION, ("x=1", pair))
