"""Spaces that Gymnasium does not have, such as packages define them, and values that they may hold.

``CUSTOM_SPACES`` has pairs of an id and a space, as ``tests.zoo.SPACES``. Not one of the classes is registered, unless
a test does it with ``registered``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.values import custom_spaces

TEXTS = ("", "go to the red ball", "añ😀\ud800", "\ud83d\ude00", "a,[{\"'\\\n\0", "x" * 300)


class Unicode(gym.Space[str]):
    """Any string."""

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return TEXTS[self.np_random.integers(len(TEXTS))]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unicode)

    def __repr__(self) -> str:
        return "Unicode()"


class AnyDict(gym.Space[dict[Any, Any]]):
    """Any dict: a tree of a page, whose keys come and go."""

    def contains(self, x: Any) -> bool:
        return isinstance(x, dict)

    def sample(self, mask: Any = None, probability: Any = None) -> dict[Any, Any]:
        count = int(self.np_random.integers(3))
        nodes = [{"role": "link", "id": 2**70 + k, "box": [0.5, float("nan"), None]} for k in range(count)]
        return {"nodes": nodes, **{f"key {k}": (k, b"\xff") for k in range(count)}}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyDict)

    def __repr__(self) -> str:
        return "AnyDict()"


class AnyBox(gym.Space[np.ndarray]):
    """Arrays in which every axis of length -1 may have any length."""

    def __init__(self, low: float, high: float, shape: tuple[int, ...], dtype: Any) -> None:
        super().__init__(shape, dtype)
        self.low, self.high = low, high

    def contains(self, x: Any) -> bool:
        fits = isinstance(x, np.ndarray) and x.dtype == self.dtype and x.ndim == len(self.shape)
        return fits and all(own in (-1, other) for own, other in zip(self.shape, x.shape, strict=True))

    def sample(self, mask: Any = None, probability: Any = None) -> np.ndarray:
        shape = [int(self.np_random.integers(1, 4)) if length == -1 else length for length in self.shape]
        return self.np_random.uniform(self.low, self.high, shape).astype(self.dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyBox) and vars(self).keys() == vars(other).keys() and repr(self) == repr(other)

    def __repr__(self) -> str:
        return f"AnyBox({self.low}, {self.high}, {self.shape}, {self.dtype})"


class Anything(gym.Space[Any]):
    """Whatever there is, or one of the given values. Its repr has an address, as that of a function has."""

    def __init__(self, *values: Any) -> None:
        super().__init__()
        self.values = values or (None, 5, "five", [1, (2.5, {"a": set()})], {1: 2}, np.arange(3), 2**80, b"", ("x", 1))

    def contains(self, x: Any) -> bool:
        return True

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        return self.values[self.np_random.integers(len(self.values))]

    def __repr__(self) -> str:
        return f"Anything({object.__repr__(self)})"


class Grid(spaces.Box):
    """Derived from a space of Gymnasium's, but it contains more: a grid may be missing."""

    def __init__(self, size: int) -> None:
        super().__init__(0, 9, (size, size), np.uint8)

    def contains(self, x: Any) -> bool:
        return x is None or super().contains(x)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self.shape == other.shape


def _pair() -> spaces.Box:
    return spaces.Box(0, 1, (2,), np.float32)


CUSTOM_SPACES: list[tuple[str, gym.Space[Any]]] = [
    ("Unicode", Unicode()),
    ("AnyDict", AnyDict()),
    ("AnyBox", AnyBox(0, 255, (-1, 3), np.uint8)),
    ("AnyBox-fixed", AnyBox(-1, 1, (2, 3), np.float32)),
    ("Anything", Anything()),
    ("Dict", spaces.Dict(image=spaces.Box(0, 9, (3, 3, 3), np.uint8), direction=spaces.Discrete(4), mission=Unicode())),
    ("Tuple", spaces.Tuple((Anything(), Unicode(), spaces.Tuple((AnyDict(), spaces.Dict(a=Anything())))))),
    ("Sequence", spaces.Sequence(Unicode())),
    ("Sequence-stacked", spaces.Sequence(Unicode(), stack=True)),
    ("Sequence-of-Sequence", spaces.Sequence(spaces.Sequence(AnyDict()))),
    ("Sequence-of-Dict", spaces.Sequence(spaces.Dict(role=Unicode(), at=Anything(), message=spaces.Text(5)))),
    ("Sequence-of-Dict-stacked", spaces.Sequence(spaces.Dict(a=Unicode(), b=_pair()), stack=True)),
    ("OneOf", spaces.OneOf([Unicode(), _pair(), spaces.Tuple((AnyDict(), Unicode()))])),
    ("Graph", spaces.Graph(Anything(), Unicode())),
    ("Graph-of-Dict", spaces.Graph(spaces.Dict(a=Unicode(), b=_pair()), _pair())),
]

every_custom_space = pytest.mark.parametrize("space", [pytest.param(space, id=name) for name, space in CUSTOM_SPACES])
"""Parametrises ``space`` over all of ``CUSTOM_SPACES``."""


@contextmanager
def registered(
    cls: type[gym.Space[Any]], to_json: Callable[[Any], Any], from_json: Callable[[Any], Any]
) -> Iterator[None]:
    """In the block, a class of spaces is registered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(custom_spaces, "_registered", dict(custom_spaces._registered))
        custom_spaces.register_space(cls, to_json, from_json)
        yield


def grids_registered():
    """In the block, ``Grid`` is registered."""
    return registered(Grid, lambda space: {"size": space.shape[0]}, lambda json: Grid(json["size"]))
