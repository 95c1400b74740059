"""Conditions on episodes as text, such as ``"total_reward > 100 and complete"``: parsed, never evaluated by Python.

Python's parser reads the text; only the forms below become a condition. So a text cannot call or import anything.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.errors import SelectionError

__all__ = ["NAMES", "Condition", "parse_condition"]

_NUMBERS = ("env", "episode_id", "length", "number", "seed", "total_reward")
_FLAGS = ("complete", "terminated", "truncated")
NAMES = tuple(sorted((*_NUMBERS, *_FLAGS)))
"""The names that a condition may use."""

_MAX_CHARACTERS = 10_000

_ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_INSTEAD: dict[type[ast.AST], str] = {
    ast.BitAnd: "write `and` in the place of `&`",
    ast.BitOr: "write `or` in the place of `|`",
    ast.Invert: "write `not` in the place of `~`",
    ast.NamedExpr: "write `==` to compare",
}

Columns = Callable[[str], np.ndarray]
"""Gives the values of a name, one per episode."""


@dataclass(frozen=True)
class _Part:
    """A part of a condition: how it is computed, and whether the result is true or false, or a number."""

    compute: Callable[[Columns], Any]
    is_flag: bool


@dataclass(frozen=True)
class Condition:
    """A condition on episodes.

    Attributes:
        text: How it was written.
    """

    text: str
    _part: _Part

    def evaluate(self, columns: Columns, count: int) -> np.ndarray:
        """Evaluate it for ``count`` episodes at once, ``(count,)`` bool.

        Args:
            columns: Gives the values of a name, ``(count,)``.
            count: How many episodes there are.
        """
        try:
            with np.errstate(all="ignore"):
                found = self._part.compute(columns)
        except ArithmeticError as error:  # of Python's own integers, which hold seeds beyond int64
            raise SelectionError(f"{self.text!r} cannot be computed: {error}") from error
        return np.broadcast_to(np.asarray(found, np.bool_), (count,)).copy()


def parse_condition(text: str) -> Condition:
    """Parse a condition.

    Raises:
        SelectionError: If it is none. The message marks the wrong part and lists the names.

    Example:
        >>> parse_condition("10 <= length < 100 and not complete").text
        '10 <= length < 100 and not complete'
    """
    return Condition(text, _Parser(text).parse())


class _Parser:
    """Turns the tree of Python's parser into parts, and refuses everything that is no condition."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()

    def parse(self) -> _Part:
        if len(self._text) > _MAX_CHARACTERS:
            raise SelectionError(
                f"a condition has at most {_MAX_CHARACTERS:,} characters, this one {len(self._text):,}"
            )
        if "\n" in self._text or "\r" in self._text:
            raise SelectionError(f"{self._text!r:.80}: a condition is one line")
        try:
            tree = ast.parse(self._text, mode="eval").body
            part = self._part(tree)
        except SyntaxError as error:
            at = len(self._text) if error.offset == 0 else (error.offset or 1) - 1
            raise self._error(_syntax_text(self._text, at, error), at, at + 1) from None
        except (ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, SelectionError):
                raise
            raise SelectionError(f"{self._text!r:.80} is no condition: {error}") from None
        if not part.is_flag:
            raise self._wrong(tree, "this is a number: compare it with something")
        return part

    def _part(self, tree: ast.expr) -> _Part:
        if isinstance(tree, ast.Name):
            return self._name(tree)
        if isinstance(tree, ast.Constant):
            return self._constant(tree)
        if isinstance(tree, ast.BoolOp):
            return self._bool(tree)
        if isinstance(tree, ast.UnaryOp):
            return self._unary(tree)
        if isinstance(tree, ast.BinOp):
            return self._arithmetic(tree)
        if isinstance(tree, ast.Compare):
            return self._comparison(tree)
        hint = _INSTEAD.get(type(tree), "a condition has names, numbers, comparisons, `and`, `or`, `not`, + - * / // %")
        raise self._wrong(tree, hint)

    def _name(self, tree: ast.Name) -> _Part:
        name = tree.id
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"; do you mean {near[0]}?" if near else ""
            raise self._wrong(tree, f"there is no {name!r:.80}{hint}")
        return _Part(lambda columns: columns(name), name in _FLAGS)

    def _constant(self, tree: ast.Constant) -> _Part:
        value = tree.value
        if type(value) is int and not -(1 << 63) <= value < 1 << 63:
            beyond = np.array(value, object)  # NumPy computes with it as Python does
            return _Part(lambda _: beyond, is_flag=False)
        if type(value) not in (bool, int, float):
            raise self._wrong(tree, "expected a number")
        return _Part(lambda _: value, type(value) is bool)

    def _bool(self, tree: ast.BoolOp) -> _Part:
        function = np.logical_and if isinstance(tree.op, ast.And) else np.logical_or
        parts = [self._flag(each) for each in tree.values]

        def compute(columns: Columns) -> Any:
            found = parts[0].compute(columns)
            for part in parts[1:]:
                found = function(found, part.compute(columns))
            return found

        return _Part(compute, is_flag=True)

    def _unary(self, tree: ast.UnaryOp) -> _Part:
        if isinstance(tree.op, ast.Not):
            flag = self._flag(tree.operand)
            return _Part(lambda columns: np.logical_not(flag.compute(columns)), is_flag=True)
        if isinstance(tree.op, ast.Invert):
            raise self._wrong(tree, _INSTEAD[ast.Invert])
        number, is_minus = self._number(tree.operand), isinstance(tree.op, ast.USub)
        return _Part(lambda columns: -number.compute(columns) if is_minus else number.compute(columns), is_flag=False)

    def _arithmetic(self, tree: ast.BinOp) -> _Part:
        function = _ARITHMETIC.get(type(tree.op))
        if function is None:
            raise self._wrong(tree, _INSTEAD.get(type(tree.op), "numbers are computed with + - * / // %"))
        left, right = self._number(tree.left), self._number(tree.right)
        return _Part(lambda columns: function(np.asarray(left.compute(columns)), right.compute(columns)), is_flag=False)

    def _comparison(self, tree: ast.Compare) -> _Part:
        trees = [tree.left, *tree.comparators]
        parts = [self._part(each) for each in trees]
        functions = []
        for number, each in enumerate(tree.ops):
            if type(each) not in _COMPARISONS:
                raise self._wrong(tree, "numbers are compared with < <= > >= == !=")
            functions.append(_COMPARISONS[type(each)])
            if parts[number].is_flag != parts[number + 1].is_flag:
                flag = trees[number] if parts[number].is_flag else trees[number + 1]
                raise self._wrong(flag, "this is true or false, and is compared with a number")

        def compute(columns: Columns) -> Any:
            values = [np.asarray(part.compute(columns)) for part in parts]
            found: Any = True
            for function, left, right in zip(functions, values[:-1], values[1:], strict=True):
                found = np.logical_and(found, function(left, right))
            return found

        return _Part(compute, is_flag=True)

    def _flag(self, tree: ast.expr) -> _Part:
        part = self._part(tree)
        if not part.is_flag:
            raise self._wrong(tree, "this is a number: compare it with something")
        return part

    def _number(self, tree: ast.expr) -> _Part:
        part = self._part(tree)
        if part.is_flag:
            raise self._wrong(tree, "this is true or false, and is computed with")
        return part

    def _wrong(self, tree: ast.expr, problem: str) -> SelectionError:
        end = tree.end_col_offset
        return self._error(
            problem, self._column(tree.col_offset), self._column(tree.col_offset + 1 if end is None else end)
        )

    def _column(self, utf8_offset: int) -> int:
        """A position in the text by its offset in UTF-8, which the tree has."""
        return len(self._text.encode()[:utf8_offset].decode(errors="ignore"))

    def _error(self, problem: str, start: int, end: int) -> SelectionError:
        """The error for a part of the text: the text with marks below the part, and the names."""
        text = self._text
        marks = " " * min(start, len(text)) + "^" * max(1, min(end, len(text)) - start)
        return SelectionError(f"{problem}\n    {text}\n    {marks}\nNames: {', '.join(NAMES)}.")


def _syntax_text(text: str, at: int, error: SyntaxError) -> str:
    """What is wrong with a text that Python's parser refuses at a position."""
    if at >= len(text):
        return "the condition is not complete"
    for wrong, hint in (
        ("&&", _INSTEAD[ast.BitAnd]),
        ("||", _INSTEAD[ast.BitOr]),
        ("=>", "write `>=` in the place of `=>`"),
        ("=<", "write `<=` in the place of `=<`"),
        ("<>", "write `!=` in the place of `<>`"),
        ("!", "write `not` in the place of `!`"),
    ):
        if wrong in (text[at : at + 2], text[max(at - 1, 0) : at + 1], text[at]):
            return hint
    if text[at] == "=":
        return _INSTEAD[ast.NamedExpr]
    return f"this is no condition: {error.msg}"
