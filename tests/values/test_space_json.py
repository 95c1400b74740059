"""Spaces as JSON: equal again, down to bounds, dtypes and the order of keys."""

import collections
import enum
import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, OneOf, Sequence, Text, Tuple

from gym_h5record.errors import CorruptRecordingError, UnsupportedSpaceError
from gym_h5record.values import space_json
from gym_h5record.values.custom_spaces import OpaqueSpace
from gym_h5record.values.space_json import (
    opaque_form,
    same_space,
    space_from_json,
    space_to_json,
    unregistered_classes,
)
from tests.custom_spaces import Anything, Grid, Unicode, every_custom_space, grids_registered, registered
from tests.zoo import ODD_KEYS, SPACES, SPACES_BY_ID, check_identical, every_space, samples


def through_text(space):
    """The space that comes out of the JSON text of one."""
    return space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False)))


def check_same_space(found, expected):
    """Fail unless two spaces are equal in more than Gymnasium's ``==`` looks at."""
    assert found == expected
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    for name in ("bounded_below", "bounded_above"):
        assert np.array_equal(getattr(found, name, None), getattr(expected, name, None)), name
    for name in ("low", "high", "n", "nvec", "start"):
        if hasattr(expected, name):
            check_identical(getattr(found, name), getattr(expected, name), name)
    for name in ("min_length", "max_length", "character_list", "stack"):
        if hasattr(expected, name):
            assert getattr(found, name) == getattr(expected, name), name
    inner = [getattr(each, "spaces", ()) for each in (found, expected)]
    if isinstance(expected, Dict):
        check_identical(list(inner[0]), list(inner[1]), "keys and their order")
        inner = [each.values() for each in inner]
    for one, other in zip(*inner, strict=True):
        check_same_space(one, other)
    for name in ("feature_space", "node_space", "edge_space"):
        if getattr(expected, name, None) is not None:
            check_same_space(getattr(found, name), getattr(expected, name))


@every_space
def test_identity(space):
    check_same_space(through_text(space), space)


@every_space
def test_the_space_that_comes_back_holds_the_same_values(space):
    again = through_text(space)
    for one, other in zip(samples(again, 3), samples(space, 3), strict=True):
        check_identical(one, other, "sample")


@every_space
def test_describing_a_space_does_not_touch_it(space):
    before = space._np_random
    space_to_json(space)
    assert space._np_random is before


def test_encode_is_what_the_format_says():
    space = Dict([("b", Box(-1, np.inf, (2,), np.float32)), (1, Tuple((Discrete(3, start=-1), MultiBinary([2, 3]))))])
    assert space_to_json(space) == {
        "type": "Dict",
        "spaces": [
            [
                "b",
                {
                    "type": "Box",
                    "dtype": "<f4",
                    "shape": [2],
                    "low": {"all": -1.0},
                    "high": {"all": {"$float": "7ff0000000000000"}},
                },
            ],
            [
                1,
                {
                    "type": "Tuple",
                    "spaces": [
                        {"type": "Discrete", "n": 3, "start": -1, "dtype": "<i8"},
                        {"type": "MultiBinary", "n": [2, 3]},
                    ],
                },
            ],
        ],
    }


@pytest.mark.parametrize(
    ("space", "limit_bytes"),
    [(Box(0, 255, (210, 160, 3), np.uint8), 200), (Box(-np.inf, np.inf, (1000, 1000), np.float32), 200)],
    ids=["picture", "unbounded"],
)
def test_large_box_of_equal_bounds_has_a_short_description(space, limit_bytes):
    assert len(json.dumps(space_to_json(space))) < limit_bytes
    assert through_text(space) == space


def test_large_box_of_many_bounds_comes_back():
    generator = np.random.default_rng(0)
    low = generator.normal(size=(40, 50)).astype(np.float32)
    space = Box(low, low + 1, dtype=np.float32)
    check_same_space(through_text(space), space)


def test_order_of_keys_is_kept():
    assert list(through_text(Dict([("z", Discrete(2)), ("a", Discrete(2)), ("m", Discrete(2))])).spaces) == [
        "z",
        "a",
        "m",
    ]
    assert list(through_text(Dict(collections.OrderedDict(z=Discrete(2), a=Discrete(2)))).spaces) == ["z", "a"]


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
def test_odd_key_comes_back(key):
    (again,) = through_text(Dict([(key, Discrete(2))])).spaces
    check_identical(again, key, "key")


# Cases that a simple description loses. -----------------------------------------------------------


@pytest.mark.parametrize("dtype", [">f4", ">i2", ">f8"])
def test_byte_order_of_a_box_comes_back(dtype):
    space = Box(0, 1, (2,), np.dtype(dtype))
    assert through_text(space) == space


@pytest.mark.parametrize("dtype", [np.int8, np.int64])
@pytest.mark.parametrize(
    ("low", "high"), [(-np.inf, np.inf), (0, np.inf), (-np.inf, 0)], ids=["both", "above", "below"]
)
def test_unbounded_box_of_integers_stays_unbounded(low, high, dtype):
    space = Box(low, high, (2,), dtype)
    again = through_text(space)
    assert again == space
    for manner in ("both", "below", "above"):
        assert again.is_bounded(manner) == space.is_bounded(manner)
    check_identical(samples(again, 5), samples(space, 5), "samples")


def test_halves_of_a_surrogate_pair_stay_two_characters():
    space = Text(4, charset="\ud83d\ude00")
    assert len(space.character_list) == 2
    assert through_text(space) == space


class Colour(str, enum.Enum):
    RED = "red"


class Key:
    pass


@pytest.mark.parametrize("key", [Colour.RED, Key(), ("a", Key())], ids=["enum", "object", "tuple-of-object"])
def test_key_without_an_exact_form_is_refused(key):
    """Its repr would come back in its place: another space, without a word."""
    with pytest.raises(UnsupportedSpaceError, match="key"):
        space_to_json(Dict([(key, Discrete(2))]))


# Refusals -----------------------------------------------------------------------------------------


def test_a_description_too_long_for_an_attribute_is_refused(monkeypatch):
    monkeypatch.setattr("gym_h5record.values.space_json.MAX_TEXT_BYTES", 99)
    space_to_json(Discrete(2))
    with pytest.raises(UnsupportedSpaceError, match="its description has .* bytes, at most 99"):
        space_to_json(Box(np.arange(50.0), np.arange(50.0) + 1, dtype=np.float64))


# Custom spaces ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda space: space,
        lambda space: Dict(a=Discrete(2), b=space),
        lambda space: Tuple((space,)),
        lambda space: Sequence(space),
        lambda space: OneOf([Discrete(2), space]),
        lambda space: spaces.Graph(space, space),
        lambda space: Tuple((Dict(a=Sequence(space)),)),
    ],
    ids=["itself", "Dict", "Tuple", "Sequence", "OneOf", "Graph", "deep"],
)
def test_custom_space_becomes_an_opaque_one_wherever_it_is(wrap):
    opaque = OpaqueSpace(f"{Unicode.__module__}:Unicode", "Unicode()")
    assert through_text(wrap(Unicode())) == wrap(opaque)
    assert opaque_form(wrap(Unicode())) == wrap(opaque)
    assert unregistered_classes(wrap(Unicode()))[0] == opaque.class_name


def test_opaque_form_forgets_registered_classes_too():
    with grids_registered():
        space = Tuple((Grid(3), Discrete(2)))
        assert through_text(space) == space
        assert [type(each) for each in opaque_form(space)] == [OpaqueSpace, Discrete]
        assert unregistered_classes(space) == []
    assert unregistered_classes(opaque_form(Tuple((Unicode(), Unicode())))) == [f"{Unicode.__module__}:Unicode"] * 2


@every_space
def test_opaque_form_of_gymnasiums_spaces_is_the_space(space):
    check_same_space(opaque_form(space), space)
    assert same_space(space, through_text(space))
    assert not same_space(space, Discrete(77))


@every_custom_space
def test_a_live_space_is_the_same_as_what_a_file_says_of_it(space):
    assert same_space(space, through_text(space))
    assert same_space(through_text(space), space)
    assert not same_space(space, Discrete(77))


def test_a_space_is_the_same_whether_its_class_was_registered_or_not():
    before = through_text(Anything(1, 2))
    with registered(Anything, lambda space: list(space.values), lambda json: Anything(*json)):
        described = space_to_json(Anything(1, 2))
        assert same_space(before, Anything(1, 2))
        assert not same_space(space_from_json(described), Anything(1, 3))
    assert same_space(space_from_json(described), Anything(1, 2))


def test_spaces_are_the_same_if_they_are_equal_although_a_file_says_other_things_of_them():
    with registered(Unicode, lambda space: id(space), lambda json: Unicode()):
        assert same_space(Unicode(), through_text(Unicode()))


@pytest.mark.parametrize("other", [Discrete(2), Box(0, 1, (1 << 40, 0)), Dict({"a": Box(0, 1, (2,))})], ids=type)
def test_spaces_of_gymnasium_that_differ_are_not_described_to_be_compared(other, monkeypatch):
    """A file may say that its space has bounds of 96 MiB: to describe it took ten times as much."""
    monkeypatch.setattr(space_json, "opaque_form", None)
    assert not same_space(Box(0, 1, (3,)), other)
    assert not same_space(Dict({"a": Tuple([Discrete(3)])}), Dict({"a": other}))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2), (1 << 40, 0)], ids=str)
def test_a_box_without_elements_comes_back_equal(shape):
    space = Box(-1, 1, shape, np.float32)
    assert through_text(space) == space


def test_a_space_that_can_be_in_no_file_is_the_same_as_itself_only():
    space = Dict([(Key(), Discrete(2))])
    assert same_space(space, space)
    assert not same_space(space, Discrete(2))


def _without(json_space, name):
    return {key: value for key, value in json_space.items() if key != name}


_BOX = space_to_json(Box(0, 1, (2,), np.float32))
_DISCRETE = space_to_json(Discrete(3))

HOSTILE = {
    "empty": {},
    "no-dict": [],
    "none": None,
    "text": "Box",
    "unknown-type": {"type": "Quaternion"},
    "type-unhashable": {"type": []},
    "type-of-python": {"type": "__import__"},
    **{f"box-without-{name}": _without(_BOX, name) for name in ("dtype", "shape", "low", "high")},
    "box-negative-shape": {**_BOX, "shape": [-1]},
    "box-shape-of-text": {**_BOX, "shape": "ab"},
    "box-of-objects": {**_BOX, "dtype": "O"},
    "box-of-strings": {**_BOX, "dtype": "<U4"},
    "box-of-nothing": {**_BOX, "dtype": "nonsense"},
    "box-too-large": {**_BOX, "shape": [10**9, 10**9]},
    "box-bounds-too-many": {**_BOX, "low": [0, 0, 0]},
    "box-bounds-crossed": {**_BOX, "low": {"all": 2}},
    "box-bounds-nan": {**_BOX, "low": {"all": {"$float": "7ff8000000000000"}}},
    "box-bounds-unknown-tag": {**_BOX, "low": {"$eval": "1"}},
    "box-bounds-of-text": {**_BOX, "low": {"all": "zero"}},
    "discrete-zero": {**_DISCRETE, "n": 0},
    "discrete-text": {**_DISCRETE, "n": "three"},
    "discrete-float-dtype": {**_DISCRETE, "dtype": "<f4"},
    "multi-discrete-ragged": {"type": "MultiDiscrete", "dtype": "<i8", "nvec": [[1], [2, 3]], "start": [0]},
    "multi-discrete-negative": {"type": "MultiDiscrete", "dtype": "<i8", "nvec": [-1], "start": [0]},
    "multi-binary-text": {"type": "MultiBinary", "n": "x"},
    "text-lengths-crossed": {"type": "Text", "min_length": 3, "max_length": 2, "charset": "a"},
    "text-charset-number": {"type": "Text", "min_length": 0, "max_length": 2, "charset": 5},
    "dict-of-spaces": {"type": "Dict", "spaces": {"a": _DISCRETE}},
    "dict-unhashable-key": {"type": "Dict", "spaces": [[[], _DISCRETE]]},
    "tuple-of-none": {"type": "Tuple", "spaces": [None]},
    "tuple-inside-hostile": {"type": "Tuple", "spaces": [{"type": "Dict", "spaces": [["a", {"type": "?"}]]}]},
    "sequence-without-space": {"type": "Sequence", "stack": True},
    "graph-of-none": {"type": "Graph", "nodes": None, "edges": None},
    "one-of-nothing": {"type": "OneOf", "spaces": []},
}


@pytest.mark.parametrize("description", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_description_is_corrupt(description):
    with pytest.raises(CorruptRecordingError, match="not the description of a space"):
        space_from_json(description)


def test_description_nested_without_end_is_corrupt():
    description = _DISCRETE
    for _ in range(2000):
        description = {"type": "Tuple", "spaces": [description]}
    with pytest.raises(CorruptRecordingError, match="not the description of a space"):
        space_from_json(description)


def test_message_about_a_long_description_is_short():
    with pytest.raises(CorruptRecordingError) as caught:
        space_from_json({"type": "?", "padding": "x" * 100_000})
    assert len(str(caught.value)) < 1000


def test_the_zoo_has_every_kind_of_space():
    kinds = {type(space) for _, space in SPACES}
    assert kinds == {each for each in map(spaces.__dict__.get, spaces.__all__) if isinstance(each, type)} - {
        gym.Space,
        spaces.GraphInstance,
    }
    assert len(SPACES_BY_ID) == len(SPACES)


def test_a_discrete_of_int64_is_built_as_gymnasium_1_1_can(monkeypatch):
    """Its Discrete has no argument ``dtype``."""

    class Discrete(spaces.Discrete):
        def __init__(self, n, seed=None, start=0):
            super().__init__(n, seed, start)

    monkeypatch.setattr(spaces, "Discrete", Discrete)
    space = space_from_json({"type": "Discrete", "n": 5, "start": -2, "dtype": "<i8"})
    assert (int(space.n), int(space.start), space.dtype) == (5, -2, np.dtype(np.int64))
