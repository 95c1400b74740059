"""Conditions by text: the same answers as Python gives, and a sentence for everything that is no condition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.errors import SelectionError
from gym_h5record.reading.expression import NAMES, parse_condition

FACTS: dict[str, list[Any]] = {
    "total_reward": [1.5, -2.0, math.nan, 100.0, math.inf],
    "length": [3, 0, 7, 20, 7],
    "seed": [0, math.nan, 5, 2**70, 2],
    "number": [0, 1, 2, 3, 4],
    "env": [0, 0, 0, 0, 0],
    "episode_id": [0, 1, 2, 5, 6],
    "complete": [True, False, True, True, False],
    "terminated": [True, False, False, True, False],
    "truncated": [False, False, True, False, False],
}


def evaluated(text: str) -> list[bool]:
    columns = {name: np.array(values, object if name == "seed" else None) for name, values in FACTS.items()}
    found = parse_condition(text).evaluate(columns.__getitem__, 5)
    assert found.dtype == np.bool_
    return [bool(each) for each in found]


def expected(text: str) -> list[bool]:
    """What Python says, episode by episode."""
    return [bool(eval(text, {name: values[at] for name, values in FACTS.items()})) for at in range(5)]


@pytest.mark.parametrize(
    "text",
    [
        "complete",
        "not complete",
        "total_reward > 1",
        "total_reward != total_reward",
        "3 <= length < 20",
        "0 < length <= 7 != 3",
        "complete and (terminated or not truncated)",
        "length % 2 == 1 and number // 2 > 0",
        "-length + 2 * number - 1.5 / 2 < +0",
        "seed < 10",
        "seed != 5",
        "not seed < 10",
        "seed == 1180591620717411303424",
        "seed - 1180591620717411303424 == 0",
        "length < 99999999999999999999999",
        "terminated == complete",
        "terminated != False",
        "True",
        "env == 0 and episode_id > number",
        " complete ",
    ],
)
def test_the_answers_are_those_of_python(text: str) -> None:
    assert evaluated(text) == expected(text.strip())


NUMBERS = st.sampled_from(["length", "number", "episode_id", "total_reward", "3", "0", "2.5"])
ARITHMETIC = st.recursive(
    NUMBERS,
    lambda each: st.one_of(
        st.builds("({} {} {})".format, each, st.sampled_from("+-*"), each), st.builds("(-{})".format, each)
    ),
    max_leaves=4,
)
COMPARISON = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
CONDITIONS = st.recursive(
    st.one_of(
        st.sampled_from(["complete", "terminated", "truncated"]),
        st.builds("{} {} {}".format, ARITHMETIC, COMPARISON, ARITHMETIC),
        st.builds("{} {} {} {} {}".format, ARITHMETIC, COMPARISON, ARITHMETIC, COMPARISON, ARITHMETIC),
    ),
    lambda each: st.one_of(
        st.builds("({}) and ({})".format, each, each),
        st.builds("({}) or ({})".format, each, each),
        st.builds("not ({})".format, each),
    ),
    max_leaves=5,
)


@given(CONDITIONS)
def test_any_condition_has_the_answers_of_python(text: str) -> None:
    assert evaluated(text) == expected(text)


@pytest.mark.parametrize(
    ("text", "problem", "marked"),
    [
        ("lenght > 3", "there is no 'lenght'; do you mean length?", "lenght"),
        ("length > 3 and reward < 1", "there is no 'reward'", "reward"),
        ("length = 3", "write `==` to compare", "="),
        ("length => 3", "write `>=` in the place of `=>`", "="),
        ("length =< 3", "write `<=` in the place of `=<`", "="),
        ("length <> 3", "write `!=` in the place of `<>`", "<"),
        ("length > 3 & complete", "write `and` in the place of `&`", "3 & complete"),
        ("complete && terminated", "write `and` in the place of `&`", "&"),
        ("complete | terminated", "write `or` in the place of `|`", "complete | terminated"),
        ("~complete", "write `not` in the place of `~`", "~complete"),
        ("!complete", "write `not` in the place of `!`", "!"),
        ("complete and length", "this is a number: compare it", "length"),
        ("length + 1", "this is a number: compare it", "length + 1"),
        ("not length", "this is a number: compare it", "length"),
        ("complete + 1 > 1", "this is true or false, and is computed with", "complete"),
        ("complete > 3", "this is true or false, and is compared with a number", "complete"),
        ("3 < length == terminated", "this is true or false, and is compared with a number", "terminated"),
        ("seed is 3", "numbers are compared with", "seed is 3"),
        ("length in [3]", "numbers are compared with|a condition has names", "length in [3]"),
        ("length ** 9 > 1", "numbers are computed with", "length ** 9"),
        ("'train' == 1", "expected a number", "'train'"),
        ("None", "expected a number", "None"),
        ("1j > 2", "expected a number", "1j"),
        ("abs(length) > 2", "a condition has names", "abs(length)"),
        ("length.real > 2", "a condition has names", "length.real"),
        ("complete if length > 1 else truncated", "a condition has names", "complete if length > 1 else truncated"),
        ("(complete := 1)", "write `==` to compare", "complete := 1"),
        ("[complete for length in ()]", "a condition has names", "[complete for length in ()]"),
        ("length >", "the condition is not complete", ""),
        ("", "the condition is not complete", ""),
        ("a b", "this is no condition", "b"),
        ("größe > 1 and lengt > 2", "there is no 'größe'", "größe"),
        ("(1 > 2) and größe", "there is no 'größe'", "größe"),
    ],
    ids=repr,
)
def test_what_is_no_condition_is_marked_and_the_names_are_listed(text: str, problem: str, marked: str) -> None:
    with pytest.raises(SelectionError) as caught:
        parse_condition(text)
    first, shown, marks, names = str(caught.value).split("\n")
    assert any(first.startswith(each) for each in problem.split("|"))
    assert shown.removeprefix("    ") == text
    start, stop = marks.index("^"), marks.rindex("^") + 1
    assert marks.strip() == "^" * (stop - start)
    if "in [3]" not in text:
        assert shown[start:stop] == marked
    assert names == f"Names: {', '.join(NAMES)}."


@pytest.mark.parametrize(
    "text",
    ["length > 1\nlength < 3", "x" * 10_001, "(" * 500 + "complete" + ")" * 500, "-" * 9000 + "1 > 2", "complete\0"],
    ids=["lines", "long", "nested", "signs", "null"],
)
def test_any_other_text_is_refused_too(text: str) -> None:
    with pytest.raises(SelectionError):
        parse_condition(text)


def test_a_division_that_python_refuses_is_said() -> None:
    with pytest.raises(SelectionError, match="'seed // 0 > 1' cannot be computed"):
        evaluated("seed // 0 > 1")


def test_the_names_are_all_that_can_be_asked() -> None:
    assert set(NAMES) == set(FACTS)
