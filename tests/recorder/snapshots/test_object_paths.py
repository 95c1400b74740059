"""Paths into objects: read and set without running any code of the objects."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict, deque, namedtuple
from types import SimpleNamespace
from typing import Any

import pytest

from gym_h5record.recorder.snapshots.object_paths import follow, named_parts, own_dict, path_text, put
from gym_h5record.values.differences import ABSENT
from tests.recorder.snapshots.nested_envs import Holder, Slotted, Touchy

Point = namedtuple("Point", "x y")


class Both(Slotted):
    """Slots of a base class, and a ``__dict__``."""


class Hostile(list[Any]):
    __dict__ = property(lambda self: 1 / 0)  # type: ignore[assignment]

    def __iter__(self) -> Any:
        raise AssertionError

    __len__ = __getitem__ = __setitem__ = __iter__  # type: ignore[assignment]


THINGS = [
    (SimpleNamespace(a=1), ["a"]),
    (Holder(a=SimpleNamespace(b=1)), ["a", "b"]),
    (Holder(a=[0, 1]), ["a", 1]),
    (Holder(a=(0, 1)), ["a", 1]),
    (Holder(a=deque([0, 1])), ["a", 1]),
    (Holder(a=Hostile([0, 1])), ["a", 1]),
    (Holder(a=Point(0, 1)), ["a", 1]),
    (Holder(a=((0, 1), 2)), ["a", 0, 1]),
    (Holder(a={"b": 1}), ["a", ["b"]]),
    (Holder(a={"a/b": 1}), ["a", ["a/b"]]),
    (Holder(a={3: 0, 7: 1}), ["a", [7]]),
    (Holder(a={(3, 4): 0, None: 1, True: 2}), ["a", 1]),
    (Holder(a=OrderedDict(b=1)), ["a", ["b"]]),
    (Holder(a=defaultdict(list, b=1)), ["a", ["b"]]),
    (Holder(a=Both(3)), ["a", "rng"]),
    (Holder(a=Touchy(3)), ["a", "rng"]),
]


@pytest.mark.parametrize(
    ("thing", "path"), THINGS, ids=[path_text(path) + str(at) for at, (_, path) in enumerate(THINGS)]
)
def test_a_part_is_named_found_and_set(thing: Any, path: list[Any]) -> None:
    *above, last = path
    segments = {json.dumps(segment): value for segment, value in named_parts(follow(thing, above))}
    assert segments[json.dumps(last)] is follow(thing, path)
    put(thing, path, "new")
    assert follow(thing, path) == "new"


def test_a_tuple_is_replaced_by_one_of_its_class() -> None:
    thing = Holder(a=Point(0, (1, 2)))
    put(thing, ["a", 1, 0], "new")
    assert thing.a == (0, ("new", 2))
    assert type(thing.a) is Point


@pytest.mark.parametrize(
    "path",
    [["b"], ["a", 2], ["a", "b", "c"], ["d", ["e"]], ["d", 3], ["f", "unset"], ["f", 0], ["f", ["rng"]]],
    ids=str,
)
def test_a_path_that_leads_nowhere_is_absent_and_makes_nothing(path: list[Any]) -> None:
    thing = Holder(a=[0, 1], d=defaultdict(list), f=Slotted(3))
    assert follow(thing, path) is ABSENT
    assert thing.d == {}


@pytest.mark.parametrize("path", [["b"], ["a", 2], ["d", 3], ["f", "other"], ["g", "h"]], ids=str)
def test_a_part_that_is_not_there_cannot_be_set(path: list[Any]) -> None:
    with pytest.raises(LookupError):
        put(Holder(a=[0, 1], d={}, f=Slotted(3)), path, "new")


def test_a_dict_that_the_class_itself_defines_is_not_read() -> None:
    assert own_dict(Hostile()) == {}
    assert own_dict(Slotted(3)) == {}
    assert own_dict(3) == {}
    assert own_dict(Holder(a=1)) == {"a": 1}


def test_a_slot_is_among_the_parts_if_it_is_set() -> None:
    assert [name for name, _ in named_parts(Slotted(3))] == ["rng"]


def test_a_path_reads_as_python() -> None:
    assert path_text(["game", "enemies", 2, "rngs", ["left"], [7]]) == "game.enemies[2].rngs['left'][7]"
