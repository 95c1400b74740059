"""The first place where two values differ, exactly or beyond a tolerance.

``gym_h5record.values.exact.identical`` says whether two values differ,
``first_difference`` says where, and by how much. The caller adds the episode and step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.display import MAX_SHOWN, printable, short_repr
from gym_h5record.values.exact import identical
from gym_h5record.values.tolerance import all_close, blocks, distance, is_close, largest_distance

__all__ = ["ABSENT", "Difference", "first_difference"]

_MAX_KEY = 40


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Any = _Absent()
"""Stands for the value of a key that only the other dict has."""


@dataclass(frozen=True)
class Difference:
    """The first place where two values differ.

    Attributes:
        leaf: The place, such as ``"observations/picture[3, 17, 0]"`` or ``"infos/seeds[1]"``.
        recorded: The part of the first value at this place; ``ABSENT`` where it lacks a key.
        found: The part of the second value.
        largest: The largest absolute difference in the whole array of the leaf, not
            only at the named element. None unless both are numbers of one type and shape.
        message: The difference in words.
    """

    leaf: str
    recorded: Any
    found: Any
    largest: float | None
    message: str


def first_difference(
    leaf: str,
    recorded: Any,
    found: Any,
    *,
    atol: float = 0.0,
    where: tuple[str, str] = ("recorded", "found"),
) -> Difference | None:
    """Find the first place where two values differ in type, structure or any bit; None if they are ``identical``.

    Args:
        leaf: Name of the values, such as ``"observations"``.
        recorded: The first value.
        found: The second value.
        atol: How far floats of one type may be apart; NaN then equals NaN, whatever
            its bits, and 0.0 equals -0.0. Everything else stays exact.
        where: The words behind the first and the second value in the message.

    Example:
        >>> first_difference("observations", {"x": np.array([1.0, 2.0])}, {"x": np.array([1.0, 2.5])}).message
        'observations/x[1]: 2.0 recorded, 2.5 found (largest difference 0.5)'
    """
    if identical(recorded, found):
        return None
    return _Search(atol, where).first(leaf, recorded, found)


class _Search:
    """Walks two values side by side."""

    def __init__(self, atol: float, where: tuple[str, str]) -> None:
        self._atol = atol
        self._where = where

    def first(self, leaf: str, recorded: Any, found: Any) -> Difference | None:
        """The first difference at or below a place."""
        if recorded is ABSENT or found is ABSENT:
            return None if recorded is found else self._make(leaf, recorded, found)
        if type(recorded) is not type(found):
            return self._types(leaf, recorded, found)
        if isinstance(recorded, np.ndarray):
            return self._arrays(leaf, recorded, found)
        if isinstance(recorded, dict):
            return self._dicts(leaf, recorded, found)
        if isinstance(recorded, (list, tuple)):
            return self._sequences(leaf, recorded, found)
        return self._single(leaf, recorded, found)

    def _dicts(self, leaf: str, recorded: dict[Any, Any], found: dict[Any, Any]) -> Difference | None:
        twins = {key: key for key in found}
        for key, value in recorded.items():
            below = f"{leaf}/{_key_text(key)}"
            if key not in twins:
                return self._make(below, value, ABSENT)
            if not identical(key, twins[key]):
                return self._types(below, key, twins[key], "the key ")
            difference = self.first(below, value, found[key])
            if difference is not None:
                return difference
        for key, value in found.items():
            if key not in recorded:
                return self._make(f"{leaf}/{_key_text(key)}", ABSENT, value)
        return None

    def _sequences(self, leaf: str, recorded: Any, found: Any) -> Difference | None:
        if len(recorded) != len(found):
            return self._make(leaf, recorded, found, *(f"{len(each)} items" for each in (recorded, found)))
        names = getattr(recorded, "_fields", None)  # a GraphInstance is a named tuple
        for index, (one, other) in enumerate(zip(recorded, found, strict=True)):
            below = f"{leaf}[{index}]" if names is None else f"{leaf}/{names[index]}"
            difference = self.first(below, one, other)
            if difference is not None:
                return difference
        return None

    def _single(self, leaf: str, recorded: Any, found: Any) -> Difference | None:
        if identical(recorded, found):
            return None
        if isinstance(recorded, (str, bytes)):
            return self._make(leaf, recorded, found, *_texts(recorded, found))
        if not isinstance(recorded, (np.generic, float)):
            return self._make(leaf, recorded, found, largest=distance(recorded, found))
        one, other = (np.asarray(each).reshape(1) for each in (recorded, found))
        if one.dtype != other.dtype:  # dates of two units
            texts = (f"{short_repr(each[0])} ({each.dtype})" for each in (one, other))
            return self._make(leaf, recorded, found, *texts)
        if self._atol and all_close(one, other, self._atol):
            return None
        return self._make(leaf, recorded, found, largest=largest_distance(one, other))

    def _arrays(self, leaf: str, recorded: np.ndarray, found: np.ndarray) -> Difference | None:
        if recorded.dtype != found.dtype or recorded.shape != found.shape:
            return self._make(leaf, recorded, found)
        if recorded.dtype.hasobject:
            pairs = zip(recorded.ravel().tolist(), found.ravel().tolist(), strict=True)
            for index, (one, other) in zip(np.ndindex(recorded.shape), pairs, strict=True):
                difference = self.first(_element(leaf, index), one, other)
                if difference is not None:
                    return difference
            return None
        if identical(recorded, found) or (self._atol and all_close(recorded, found, self._atol)):
            return None
        index = tuple(int(each) for each in np.unravel_index(self._first_element(recorded, found), recorded.shape))
        largest = largest_distance(recorded, found)
        return self._make(_element(leaf, index), recorded[index], found[index], largest=largest, of=recorded.size)

    def _first_element(self, recorded: np.ndarray, found: np.ndarray) -> int:
        for start, one, other in blocks(recorded, found):
            differs = (_bits(one) != _bits(other)).any(axis=1)
            if self._atol and one.dtype.kind == "f":
                differs = ~is_close(one, other, self._atol)
            if differs.any():
                return start + int(differs.argmax())
        return 0

    def _types(self, leaf: str, recorded: Any, found: Any, what: str = "") -> Difference:
        texts = [f"{what}{_typed(each)}" for each in (recorded, found)]
        return self._make(leaf, recorded, found, *texts)

    def _make(
        self,
        leaf: str,
        recorded: Any,
        found: Any,
        recorded_text: str = "",
        found_text: str = "",
        *,
        largest: float | None = None,
        of: int = 1,
    ) -> Difference:
        texts = [recorded_text or short_repr(recorded), found_text or short_repr(found)]
        if texts[0] == texts[1]:  # text does not show the payload of a NaN
            texts = [f"{text}{_bits_text(each)}" for text, each in zip(texts, (recorded, found), strict=True)]
        spread = "" if largest is None or of == 1 else f" (largest difference {largest:.4g})"
        message = f"{leaf}: {texts[0]} {self._where[0]}, {texts[1]} {self._where[1]}{spread}"
        return Difference(leaf, recorded, found, largest, message)


# Words --------------------------------------------------------------------------------------------


def _key_text(key: Any) -> str:
    text = printable(key) if type(key) is str else short_repr(key)
    return text if len(text) <= _MAX_KEY else f"{text[: _MAX_KEY - 4]} ..."


def _element(leaf: str, index: tuple[int, ...]) -> str:
    return f"{leaf}[{', '.join(map(str, index))}]" if index else leaf


def _typed(value: Any) -> str:
    if value is None or type(value) is np.ndarray:
        return short_repr(value)
    kind = type(value)
    name = f"numpy.{kind.__name__}" if isinstance(value, (np.generic, np.ndarray)) else kind.__qualname__
    return f"{short_repr(value)} of type {printable(name)}"


def _bits_text(value: Any) -> str:
    if isinstance(value, (np.floating, np.complexfloating, float)):
        return f" with the bits {np.asarray(value).astype(np.asarray(value).dtype.newbyteorder('>')).tobytes().hex()}"
    return ""


def _texts(recorded: Any, found: Any) -> tuple[str, str]:
    """Excerpts of two long texts, from 8 characters before the first difference."""
    if max(len(recorded), len(found)) <= MAX_SHOWN // 2:
        return short_repr(recorded), short_repr(found)
    pairs = enumerate(zip(recorded, found, strict=False))
    at = next((k for k, (one, other) in pairs if one != other), min(len(recorded), len(found)))
    low, high = max(at - 8, 0), at + 16
    return tuple(  # type: ignore[return-value]  # two of them
        f"{short_repr(each[low:high])} from character {low} of {len(each)}" for each in (recorded, found)
    )


def _bits(flat: np.ndarray) -> np.ndarray:
    return np.frombuffer(flat.tobytes(), np.uint8).reshape(len(flat), flat.dtype.itemsize)
