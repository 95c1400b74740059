"""Ragged values: encode, decode, identity, and a clear no to what a space does not declare."""

import copy
from collections import OrderedDict

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Dict, Discrete, Graph, GraphInstance, OneOf, Text, Tuple

from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_space
from gym_h5record.format.ragged import decode, encode, encode_nearest
from gym_h5record.values.tagged_json import TaggedText
from tests.custom_spaces import CUSTOM_SPACES, Anything, Unicode, every_custom_space
from tests.zoo import SPACES, ForeignArray, check_identical, samples


class Foreign:
    """An object without a form in JSON."""

    def __repr__(self):
        return "Foreign()"


RAGGED = [(name, space) for name, space in SPACES if isinstance(plan_space(space, "x"), nodes.Ragged)]

every_ragged_space = pytest.mark.parametrize("space", [pytest.param(space, id=name) for name, space in RAGGED])


def pair():
    return Box(0, 1, (2,), np.float32)


def f32(*numbers):
    return np.array(numbers, np.float32)


class Stored:
    """Many values one behind the other, as a recording stores them: ends are counted up."""

    def __init__(self, node, encoded):
        self.arrays = {}
        for field in node.fields():
            parts = [part for items in encoded for part in items[field.name]]
            array = np.concatenate(parts) if parts else np.empty((0, *field.shape), field.dtype)
            assert (array.dtype, array.shape[1:]) == (field.dtype, field.shape)
            self.arrays[field.name] = np.cumsum(array) if field.is_ends else array

    def items(self, field, start, stop):
        array = self.arrays[field]
        assert 0 <= start <= stop <= len(array), f"items {start} to {stop} of {field} do not exist"
        return array[start:stop].copy()


def check_identity(space, values):
    """Fail unless values that follow each other in one column all come back."""
    node = plan_space(space, "x")
    encoded = [encode(node, value) for value in values]
    assert None not in encoded, f"not encoded: {values[encoded.index(None)]!r}"
    stored = Stored(node, encoded)
    for at, value in enumerate(values):
        check_identical(decode(node, stored, at), value, f"value {at}")
    for at in reversed(range(len(values))):
        check_identical(decode(node, stored, at), values[at], f"value {at}, read backwards")


def flat(items):
    """Encoded items as plain lists."""
    return {name: np.concatenate(parts).tolist() if parts else [] for name, parts in items.items()}


# Identity -----------------------------------------------------------------------------------------


@every_ragged_space
def test_identity_of_samples(space):
    check_identity(space, samples(space, 12))


@every_ragged_space
def test_encoding_leaves_the_value_alone_and_keeps_nothing_of_it(space):
    node = plan_space(space, "x")
    for value in samples(space, 5, seed=1):
        before = copy.deepcopy(value)
        items = encode(node, value)
        check_identical(value, before, "value after encode")
        for part in (part for parts in items.values() for part in parts):
            part[...] = 0  # would show in the value if it were a view of it
        check_identical(value, before, "value after its items have changed")


@every_ragged_space
def test_items_name_exactly_the_fields_of_the_node(space):
    node = plan_space(space, "x")
    assert list(encode(node, samples(space, 1)[0])) == [field.name for field in node.fields()]


SPECIAL = {
    "text-empty": (Text(5, min_length=0), ["", "a", ""]),
    "text-unicode": (Text(9), ["añ", "😀\U0010ffff", "\0a\0", "\ud800", "\ud83d\ude00", "\ufeff", "e\u0301"]),
    "text-longer-than-declared": (Text(1), ["abcdef", "ñ" * 1000]),
    "sequence-empty": (spaces.Sequence(pair()), [(), (f32(1, 2),), ()]),
    "sequence-stacked-empty": (
        spaces.Sequence(pair(), stack=True),
        [np.empty((0, 2), np.float32), np.ones((3, 2), np.float32)],
    ),
    "sequence-of-nan": (spaces.Sequence(pair()), [(np.array([0x7FC00DAD, 0x80000000], np.uint32).view(np.float32),)]),
    "sequence-of-empty-sequences": (spaces.Sequence(spaces.Sequence(Text(3))), [((), (), ("a",)), (), (("", "b"), ())]),
    "sequence-of-dicts-in-other-order": (spaces.Sequence(Dict(a=Text(2), b=Text(2))), [({"b": "1", "a": "2"},)]),
    "graph-without-edges": (Graph(pair(), Discrete(3)), [GraphInstance(np.ones((2, 2), np.float32), None, None)]),
    "graph-without-nodes": (Graph(pair(), Discrete(3)), [GraphInstance(np.empty((0, 2), np.float32), None, None)]),
    "graph-with-no-edge": (
        Graph(pair(), Discrete(3)),
        [GraphInstance(np.ones((2, 2), np.float32), np.empty(0, np.int64), np.empty((0, 2), np.int32))],
    ),
    "graph-with-links-only": (
        Graph(pair(), Discrete(3)),
        [GraphInstance(np.ones((2, 2), np.float32), None, np.array([[0, 1]], np.int32))],
    ),
    "graph-with-edges-only": (
        Graph(pair(), Discrete(3)),
        [GraphInstance(np.ones((1, 2), np.float32), np.array([2]), None)],
    ),
    "graph-links-without-edge-space": (
        Graph(pair(), None),
        [GraphInstance(np.ones((1, 2), np.float32), None, np.array([[0, 0], [0, 0]], np.int32))],
    ),
    "one-of-each": (OneOf([pair(), Text(3)]), [(np.int64(1), "abc"), (np.int64(0), f32(1, 2)), (np.int64(1), "")]),
    "stack-of-tuples-without-elements": (
        spaces.Sequence(Tuple((Box(0, 1, (0,), np.float32),)), stack=True),
        [(np.empty((3, 0), np.float32),), (np.empty((0, 0), np.float32),)],
    ),
    "graph-of-dicts-without-elements": (
        Graph(Dict(a=Box(0, 1, (0,), np.int8)), None),
        [GraphInstance({"a": np.empty((4, 0), np.int8)}, None, None)],
    ),
    "array-in-another-layout": (spaces.Sequence(Box(0, 1, (2, 3), np.float32)), [(np.ones((3, 2), np.float32).T,)]),
}


@pytest.mark.parametrize(("space", "values"), SPECIAL.values(), ids=list(SPECIAL))
def test_identity_of_special_values(space, values):
    check_identity(space, values)


def test_identity_of_long_values():
    check_identity(spaces.Sequence(Discrete(5), stack=True), [np.arange(5000) % 5, np.arange(3) % 5])
    check_identity(Text(10), ["x" * 100_000, "y"])


# Encode -------------------------------------------------------------------------------------------

ENCODED = {
    "text": (Text(5), "añ", {"x/ends": [3], "x/values": [97, 0xC3, 0xB1]}),
    "text-surrogate": (Text(5), "\ud800", {"x/ends": [3], "x/values": [0xED, 0xA0, 0x80]}),
    "sequence": (spaces.Sequence(pair()), (f32(1, 2), f32(3, 4)), {"x/ends": [2], "x/values": [[1, 2], [3, 4]]}),
    "sequence-stacked": (
        spaces.Sequence(Discrete(5), stack=True),
        np.array([4, 2]),
        {"x/ends": [2], "x/values": [4, 2]},
    ),
    "sequence-of-text": (
        spaces.Sequence(Text(3)),
        ("a", "", "bc"),
        {"x/ends": [3], "x/values/ends": [1, 0, 2], "x/values/values": [97, 98, 99]},
    ),
    "graph": (
        Graph(pair(), Discrete(3)),
        GraphInstance(np.ones((1, 2), np.float32), np.array([2]), np.array([[0, 0]], np.int32)),
        {
            "x/parts": [3],
            "x/nodes/ends": [1],
            "x/nodes/values": [[1, 1]],
            "x/edges/ends": [1],
            "x/edges/values": [2],
            "x/edge_links/ends": [1],
            "x/edge_links/values": [[0, 0]],
        },
    ),
    "graph-alone": (
        Graph(pair(), None),
        GraphInstance(np.ones((1, 2), np.float32), None, None),
        {
            "x/parts": [0],
            "x/nodes/ends": [1],
            "x/nodes/values": [[1, 1]],
            "x/edge_links/ends": [0],
            "x/edge_links/values": [],
        },
    ),
    "one-of": (
        OneOf([Discrete(3), Text(2)]),
        (np.int64(1), "a"),
        {
            "x/index": [1],
            "x/0/ends": [0],
            "x/0/values": [],
            "x/1/ends": [1],
            "x/1/values/ends": [1],
            "x/1/values/values": [97],
        },
    ),
}


@pytest.mark.parametrize(("space", "value", "items"), ENCODED.values(), ids=list(ENCODED))
def test_encode_is_what_the_format_says(space, value, items):
    encoded = flat(encode(plan_space(space, "x"), value))
    assert {name: each for name, each in encoded.items() if each} == {
        name: each for name, each in items.items() if each
    }


# What is not a value of the space -----------------------------------------------------------------

_GRAPH = Graph(pair(), Discrete(3))
_NODES = np.ones((2, 2), np.float32)

REFUSED = {
    "text-number": (Text(3), 5),
    "text-none": (Text(3), None),
    "text-bytes": (Text(3), b"a"),
    "text-numpy": (Text(3), np.str_("a")),
    "sequence-none": (spaces.Sequence(pair()), None),
    "sequence-number": (spaces.Sequence(pair()), 1),
    "sequence-list": (spaces.Sequence(pair()), [f32(1, 2)]),
    "sequence-array": (spaces.Sequence(pair()), _NODES),
    "sequence-wider-items": (spaces.Sequence(pair()), (np.zeros(2),)),
    "sequence-narrower-items": (spaces.Sequence(pair()), (np.zeros(2, np.float16),)),
    "sequence-other-shape": (spaces.Sequence(pair()), (f32(1, 2, 3),)),
    "sequence-item-list": (spaces.Sequence(pair()), ([1.0, 2.0],)),
    "sequence-item-ragged-list": (spaces.Sequence(pair()), ([1.0, [2.0]],)),
    "sequence-one-bad-item": (spaces.Sequence(pair()), (f32(1, 2), None)),
    "sequence-python-ints": (spaces.Sequence(Discrete(3)), (1, 2)),
    "sequence-float-for-int": (spaces.Sequence(Discrete(3)), (np.float64(1),)),
    "sequence-bool-for-int": (spaces.Sequence(Discrete(3)), (np.bool_(True),)),
    "stacked-none": (spaces.Sequence(Text(3), stack=True), None),
    "stacked-text": (spaces.Sequence(Dict(a=Text(3)), stack=True), "abc"),
    "stacked-tuple": (spaces.Sequence(pair(), stack=True), (f32(1, 2),)),
    "stacked-other-shape": (spaces.Sequence(pair(), stack=True), np.zeros((2, 3), np.float32)),
    "stacked-rank0": (spaces.Sequence(pair(), stack=True), np.float32(1)),
    "stacked-wider": (spaces.Sequence(pair(), stack=True), np.zeros((2, 2))),
    "stacked-big-endian": (spaces.Sequence(pair(), stack=True), np.zeros((2, 2), ">f4")),
    "stacked-masked-array": (spaces.Sequence(pair(), stack=True), np.ma.masked_array(_NODES)),
    "dict-missing-key": (spaces.Sequence(Dict(a=Text(2), b=Text(2))), ({"a": "x"},)),
    "dict-extra-key": (spaces.Sequence(Dict(a=Text(2))), ({"a": "x", "b": "y"},)),
    "tuple-too-long": (spaces.Sequence(Tuple((Text(2),))), (("a", "b"),)),
    "tuple-list": (spaces.Sequence(Tuple((Text(2),))), (["a"],)),
    "graph-tuple": (_GRAPH, (_NODES, None, None)),
    "graph-none": (_GRAPH, None),
    "graph-without-nodes": (_GRAPH, GraphInstance(None, None, None)),
    "graph-wider-nodes": (_GRAPH, GraphInstance(np.ones((2, 2)), None, None)),
    "graph-wider-links": (_GRAPH, GraphInstance(_NODES, np.array([1]), np.array([[0, 1]]))),
    "graph-edges-of-floats": (_GRAPH, GraphInstance(_NODES, np.array([0.5]), None)),
    "graph-edges-where-none-are": (Graph(pair(), None), GraphInstance(_NODES, np.array([1]), None)),
    "one-of-none": (OneOf([pair(), Text(3)]), None),
    "one-of-number": (OneOf([pair(), Text(3)]), 1),
    "one-of-list": (OneOf([pair(), Text(3)]), [np.int64(1), "a"]),
    "one-of-python-index": (OneOf([pair(), Text(3)]), (1, "a")),
    "one-of-index-too-large": (OneOf([pair(), Text(3)]), (np.int64(2), "a")),
    "one-of-index-negative": (OneOf([pair(), Text(3)]), (np.int64(-1), "a")),
    "one-of-index-huge": (OneOf([pair(), Text(3)]), (2**70, "a")),
    "one-of-index-nan": (OneOf([pair(), Text(3)]), (np.float32("nan"), "a")),
    "one-of-index-complex": (OneOf([pair(), Text(3)]), (np.complex64(1), "a")),
    "one-of-index-array": (OneOf([pair(), Text(3)]), (np.array([1, 0]), "a")),
    "one-of-index-text": (OneOf([pair(), Text(3)]), ("1", "a")),
    "one-of-other-branch": (OneOf([pair(), Text(3)]), (np.int64(0), "a")),
    "one-of-triple": (OneOf([pair(), Text(3)]), (np.int64(1), "a", "b")),
}


@pytest.mark.parametrize(("space", "value"), REFUSED.values(), ids=list(REFUSED))
def test_what_would_not_come_back_exactly_is_refused(space, value):
    before = copy.deepcopy(value)
    assert encode(plan_space(space, "x"), value) is None
    check_identical(value, before, "refused value")


def test_value_that_contains_itself_is_refused():
    value = []
    value.append(value)
    assert encode(plan_space(spaces.Sequence(spaces.Sequence(Text(2))), "x"), (value,)) is None


# JSON text ----------------------------------------------------------------------------------------

JSON = nodes.Json("x")

VALUES = (
    None,
    "text",
    '\ud83d\ude00 \ud800 ,[{"',
    [1, (2.5, {"a": {3: b"\xff"}}), {4, "5"}],
    {"nan": float("nan"), "zero": -0.0, "big": 2**200, "$x": 1},
    np.array([0x7FC00DAD], np.uint32).view(np.float32),
    np.array([{"a": 1}, None]),
    np.datetime64("2020-01-01", "ms"),
    {"a": [[[[[[]]]]]]},
    "x" * 100_000,
)


def test_any_value_with_a_form_in_json_comes_back():
    stored = Stored(JSON, [encode(JSON, value) for value in VALUES])
    for at, value in enumerate(VALUES):
        check_identical(decode(JSON, stored, at), value, f"value {at}")


def test_json_text_is_what_the_format_says():
    assert bytes(flat(encode(JSON, (1, "ä")))["x/values"]) == b'{"$tuple":[1,"\\u00e4"]}'
    assert flat(encode(JSON, None)) == {"x/ends": [4], "x/values": [*b"null"]}


@every_custom_space
def test_identity_of_custom_spaces_inside_ragged_ones(space):
    check_identity(spaces.Sequence(space), samples(spaces.Sequence(space), 5))
    choice = OneOf([space, Discrete(2)])
    check_identity(choice, samples(choice, 5))


def test_identity_of_custom_spaces_in_stacks_and_graphs():
    for space in (space for _, space in CUSTOM_SPACES if isinstance(plan_space(space, "x"), nodes.Ragged)):
        if not isinstance(plan_space(space, "x"), nodes.Json):
            check_identity(space, samples(space, 8))


def make_cycle():
    value = []
    value.append(value)
    return value


def make_deep(levels):
    value = 0
    for _level in range(levels):
        value = [value]
    return value


INEXACT = {
    "object": (Foreign(), TaggedText("Foreign()")),
    "object-inside": ({"page": Foreign(), "n": 1}, {"page": TaggedText("Foreign()"), "n": 1}),
    "derived": (OrderedDict(a=1), {"a": 1}),
    "foreign-array": ([ForeignArray(np.arange(3))], [np.arange(3)]),
    "deep": (make_deep(150), TaggedText(make_deep(150))),
    "cycle": (make_cycle(), TaggedText("[[...]]")),
    "hollow": (np.empty((1 << 21, 0)), TaggedText(repr(np.empty((1 << 21, 0))))),
}


@pytest.mark.parametrize(("value", "nearest"), INEXACT.values(), ids=list(INEXACT))
def test_a_value_without_an_exact_form_is_refused_and_its_nearest_one_is_told(value, nearest):
    assert encode(JSON, value) is None
    assert encode(plan_space(spaces.Sequence(Unicode()), "x"), (value,)) is None
    told = []
    found = decode(JSON, Stored(JSON, [encode_nearest(JSON, value, told.append)]), 0)
    check_identical(found, nearest, "nearest value")
    assert len(told) == 1
    assert isinstance(told[0], (Foreign, OrderedDict, ForeignArray, list, np.ndarray))


def test_a_value_with_more_parts_than_are_read_is_kept_as_text(monkeypatch):
    for module in ("format.meter", "values.tagged_json"):
        monkeypatch.setattr(f"gym_h5record.{module}.MAX_VALUES", 100)
    assert encode(JSON, [0] * 100) is not None
    assert encode(JSON, [0] * 101) is None
    told = []
    encode_nearest(JSON, [0] * 101, told.append)
    assert told == [[0] * 101]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b'{"$eval": 1}', b'"\xc3\xa4"', b"[" * 10_000, b"null null"], ids=repr
)
def test_hostile_json_text_is_a_value_error(text):
    stored = Stored(JSON, [encode(JSON, None)])
    stored.arrays = {"x/ends": np.array([len(text)]), "x/values": np.frombuffer(text, np.uint8)}
    with pytest.raises(ValueError, match=r"."):
        decode(JSON, stored, 0)


def test_many_json_texts_of_one_value_are_limited_together(monkeypatch):
    monkeypatch.setattr("gym_h5record.format.meter.MAX_VALUES", 100)
    node = plan_space(spaces.Sequence(Anything()), "x")
    check_identity(spaces.Sequence(Anything()), [([0] * 50, [0] * 50)])
    assert encode(node, ([0] * 50, [0] * 51)) is None
    check_identity(spaces.Sequence(Anything()), [("," * 500, [0] * 50)])  # commas in strings do not count


# Decode -------------------------------------------------------------------------------------------


@every_ragged_space
def test_what_is_decoded_is_the_callers_own(space):
    node = plan_space(space, "x")
    values = samples(space, 3, seed=2)
    stored = Stored(node, [encode(node, value) for value in values])
    _spoil(decode(node, stored, 1))
    for at, value in enumerate(values):
        check_identical(decode(node, stored, at), value, f"value {at} after another was changed")


def _spoil(value):
    """Change every array in a value."""
    if isinstance(value, np.ndarray):
        assert value.flags.writeable
        value[...] = 0
    elif isinstance(value, dict):
        for each in value.values():
            _spoil(each)
    elif isinstance(value, (tuple, list)):
        for each in value:
            _spoil(each)


@pytest.mark.parametrize("node", [nodes.Opaque("x"), nodes.Node()], ids=["Opaque", "Node"])
def test_node_without_columns_cannot_be_decoded(node):
    with pytest.raises(TypeError, match="no way to decode"):
        decode(node, Stored(node, []), 0)


@pytest.mark.parametrize(("index", "counts"), [(-1, (1, 1)), (2, (1, 1)), (0, (0, 1)), (1, (1, 0)), (0, (2, 0))])
def test_choice_that_there_is_not_is_refused(index, counts):
    node = plan_space(OneOf([Discrete(4), Discrete(5)]), "x")
    stored = Stored(node, [encode(node, (np.int64(0), np.int64(3))), encode(node, (np.int64(1), np.int64(3)))])
    stored.arrays |= {branch.ends: np.array([count]) for branch, count in zip(node.branches, counts, strict=True)}
    stored.arrays[node.index.name] = np.array([index])
    with pytest.raises(ValueError, match="choice"):
        decode(node, stored, 0)
