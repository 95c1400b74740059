"""Tagged JSON: what is written, what is read, and that the two are inverse."""

import base64
import enum
import json
from collections import OrderedDict, defaultdict, deque, namedtuple

import numpy as np
import pytest
from gymnasium.spaces import GraphInstance

from gym_h5record.values.tagged_json import (
    TaggedText,
    dumps,
    loads,
    parse_json,
    places_of_text,
    tag,
    tag_anything,
    untag,
)
from tests.zoo import (
    NAN_WITH_PAYLOAD,
    NEGATIVE_NAN,
    ODD_KEYS,
    REWARDS,
    ForeignArray,
    check_identical,
    every_space,
    passing_infos,
    samples,
)


def _base64(data):
    return base64.b64encode(data).decode()


# Value and the JSON it is written as, as the format says. ---------------------------------------

WRITTEN = {
    "none": (None, "null"),
    "true": (True, "true"),
    "int": (-5, "-5"),
    "int-huge": (10**30, str(10**30)),
    "int-of-600-digits": (1 - 10**600, "-" + "9" * 600),
    "int-of-601-digits": (-(10**600), f'{{"$int":"{hex(-(10**600))}"}}'),
    "float": (0.1, "0.1"),
    "float-whole": (1.0, "1.0"),
    "float-negative-zero": (-0.0, "-0.0"),
    "float-inf": (float("inf"), '{"$float":"7ff0000000000000"}'),
    "float-minus-inf": (float("-inf"), '{"$float":"fff0000000000000"}'),
    "float-nan": (float("nan"), '{"$float":"7ff8000000000000"}'),
    "float-nan-payload": (NAN_WITH_PAYLOAD, '{"$float":"7ff8000000000dad"}'),
    "str": ("a", '"a"'),
    "str-unicode": ("ñ😀", r'"\u00f1\ud83d\ude00"'),
    "str-lone-surrogate": ("\ud800", r'"\ud800"'),
    "bytes": (b"\0\xff", f'{{"$bytes":"{_base64(bytes([0, 255]))}"}}'),
    "complex": (complex(1, -2), '{"$complex":[1.0,-2.0]}'),
    "list": ([1, [2]], "[1,[2]]"),
    "tuple": ((1, (2,)), '{"$tuple":[1,{"$tuple":[2]}]}'),
    "tuple-empty": ((), '{"$tuple":[]}'),
    "dict": ({"a": 1, "": None}, '{"a":1,"":null}'),
    "dict-empty": ({}, "{}"),
    "dict-keys": ({1: "a", (2,): "b"}, '{"$dict":[[1,"a"],[{"$tuple":[2]},"b"]]}'),
    "dict-key-like-a-tag": ({"$tuple": [1]}, '{"$dict":[["$tuple",[1]]]}'),
    "set": ({1}, '{"$set":[1]}'),
    "frozenset": (frozenset({1}), '{"$frozenset":[1]}'),
    "array": (np.array([[1, 2]], np.uint8), f'{{"$array":["|u1",[1,2],"{_base64(bytes([1, 2]))}"]}}'),
    "array-rank0": (np.array(1, np.uint8), f'{{"$array":["|u1",[],"{_base64(bytes([1]))}"]}}'),
    "array-object": (np.array([None, "a"], object), '{"$object":[[2],[null,"a"]]}'),
    "numpy": (np.float32(0.5), f'{{"$numpy":["<f4","{_base64(np.float32(0.5).tobytes())}"]}}'),
    "numpy-bool": (np.bool_(True), f'{{"$numpy":["|b1","{_base64(bytes([1]))}"]}}'),
    "graph": (GraphInstance(1, None, None), '{"$graph":[1,null,null]}'),
}


@pytest.mark.parametrize(("value", "text"), WRITTEN.values(), ids=list(WRITTEN))
def test_encode(value, text):
    assert dumps(value) == text


@pytest.mark.parametrize(("value", "text"), WRITTEN.values(), ids=list(WRITTEN))
def test_decode(value, text):
    check_identical(loads(text), value, "loads")
    check_identical(loads(text.encode()), value, "loads of bytes")


# Values that are hard to keep. -------------------------------------------------------------------

KEPT = {
    "nan-negative": NEGATIVE_NAN,
    "smallest": 5e-324,
    "largest": 1.7976931348623157e308,
    "int-beyond-float": 2**53 + 1,
    "int-longer-than-python-prints": 10**5000,
    "int-longer-than-python-prints-as-key": {-(10**5000): 1},
    "complex-nan": complex(float("nan"), -0.0),
    "complex-inf": complex(float("-inf"), NAN_WITH_PAYLOAD),
    "str-controls": "\0\x01\x1f\x7f\x80\u2028\u2029\ufeff\uffff",
    "str-surrogates": "a\udc00\ud800",
    "str-surrogate-halves": "\ud83d\ude00",  # two code points, not the one they would make in UTF-16
    "str-surrogate-halves-as-key": {"\ud83d\ude00": 1},
    "str-like-a-tag": "$tuple",
    "str-like-json": '{"$tuple": []}',
    "dict-of-tags": {"$float": {"$numpy": {"$repr": ["a", "b"]}}},
    "dict-two-dollar-keys": {"$a": 1, "b": 2},
    "dict-odd-keys": {key: number for number, key in enumerate(ODD_KEYS)},
    "dict-numpy-key": {np.int64(3): 1},
    "dict-true": {True: 1},
    "set-of-everything": {1, "a", (2, b"x"), None, frozenset({1.5})},
    "set-empty": set(),
    "frozenset-nested": frozenset({frozenset({1}), ()}),
    "numpy-longdouble": np.longdouble(1) / 3,
    "numpy-complex": np.complex64(1 - 2j),
    "numpy-datetime": np.datetime64("2020-02-02T02:02", "m"),
    "numpy-datetime-nat": np.datetime64("NaT"),
    "numpy-timedelta": np.timedelta64(-3, "D"),
    "numpy-str": np.str_("añ😀"),
    "numpy-str-empty": np.str_(""),
    "numpy-str-ends-in-nul": np.str_("a\0"),
    "numpy-bytes": np.bytes_(b"a\xff"),
    "numpy-bytes-empty": np.bytes_(b""),
    "numpy-bytes-ends-in-nul": np.bytes_(b"a\0"),
    "array-empty": np.zeros(0, np.float16),
    "array-empty-shape": np.zeros((2, 0, 3), np.int8),
    "array-nan-payloads": np.array([NAN_WITH_PAYLOAD, NEGATIVE_NAN, -0.0]),
    "array-big-endian": np.array([1.5, 2], ">f4"),
    "array-fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "array-strided": np.arange(10)[::-3],
    "array-broadcast": np.broadcast_to(np.int8(1), (2, 2)),
    "array-bool": np.array([True, False]),
    "array-str": np.array([["añ", ""], ["😀", "\ud800"]]),
    "array-str-empty-dtype": np.zeros(2, "U0"),
    "array-bytes": np.array([b"a\0b", b""]),
    "array-complex": np.array([complex(float("nan"), -0.0)]),
    "array-datetime": np.array(["2020", "NaT"], "M8[Y]"),
    "array-longdouble": np.array([1, 2], np.longdouble) / 3,
    "array-object-rank0": np.array(None, object),
    "array-object-empty": np.zeros((2, 0), object),
    "array-object-of-arrays": np.array([np.arange(2), [1, (2,)], {"a": np.float16(1)}, None], object),
    "array-object-2d": np.array([[1, "a"], [None, 2.5]], object),
    "graph": GraphInstance(np.zeros((2, 3)), np.array([1]), np.array([[0, 1]], np.int32)),
    "graph-of-trees": GraphInstance({"a": np.zeros(2)}, ((1,), None), None),
    "deep-95": json.loads("[" * 95 + "]" * 95),
}


@pytest.mark.parametrize(
    "value", [*KEPT.values(), *REWARDS], ids=[*KEPT, *(f"reward-{k}" for k in range(len(REWARDS)))]
)
def test_identity(value):
    check_identical(loads(dumps(value)), value, "loads of dumps")
    check_identical(loads(dumps([{"a": (value,)}])), [{"a": (value,)}], "loads of dumps of a nested one")


@every_space
def test_identity_of_samples(space):
    for value in samples(space, 5):
        check_identical(loads(dumps(value)), value, "loads of dumps")


@pytest.mark.parametrize("step", range(7))
def test_identity_of_infos(step):
    check_identical(loads(dumps(passing_infos(step))), passing_infos(step), "loads of dumps")


def test_order_of_keys_is_kept():
    assert list(loads(dumps({"b": 1, "a": 2}))) == ["b", "a"]
    assert list(loads(dumps({2: 1, "a": 2, 1: 3}))) == [2, "a", 1]


def test_text_is_ascii_and_strict_json():
    text = dumps(list(KEPT.values()))
    assert text.isascii()

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    json.loads(text, parse_constant=refuse)


def test_what_is_read_is_the_callers_own():
    array = loads(dumps(np.zeros(3)))
    array[0] = 1
    assert array.flags.owndata
    assert array.flags.writeable


def test_tag_leaves_the_value_alone():
    value = {"a": [1, (2,)], 1: np.zeros(2)}
    tag(value)
    check_identical(value, {"a": [1, (2,)], 1: np.zeros(2)}, "value after tag")


def test_untag_is_the_inverse_of_tag():
    for value in KEPT.values():
        check_identical(untag(tag(value)), value, "untag of tag")


# Objects that have no exact form. ---------------------------------------------------------------


class Custom:
    def __repr__(self):
        return "<Custom ñ\ud800>"


class Colour(enum.IntEnum):
    RED = 1


INEXACT = {
    "object": Custom(),
    "class": Custom,
    "numpy-class": np.float32,
    "function": len,
    "enum": enum.Enum("Shape", "ROUND").ROUND,
    "deque": deque([1]),
    "bytearray": bytearray(b"a"),
    "range": range(3),
    "structured": np.zeros(2, [("a", "i4"), ("b", "f8")]),
    "structured-scalar": np.zeros(1, [("a", "i4")])[0],
    "void": np.void(b"ab"),
}


@pytest.mark.parametrize("value", INEXACT.values(), ids=list(INEXACT))
def test_what_has_no_exact_form_leaves_its_repr_and_is_reported(value):
    reported = []
    read = loads(dumps({"a": [value]}, on_repr=reported.append))["a"][0]
    assert type(read) is TaggedText
    assert read == repr(value)
    assert len(reported) == 1
    assert reported[0] is value


MASKED = np.ma.masked_array(np.arange(3, dtype=np.int8), [True, False, False])
DERIVED = {
    "int-enum": (Colour.RED, 1),
    "str-enum": (enum.Enum("Word", {"HI": "hi"}, type=str).HI, "hi"),
    "named-tuple": (namedtuple("Point", "x y")(1, {"a": Colour.RED}), (1, {"a": 1})),
    "ordered-dict": (OrderedDict(b=1, a=np.zeros(2000)), {"b": 1, "a": np.zeros(2000)}),
    "defaultdict": (defaultdict(list, {(1, 2): [0.1]}), {(1, 2): [0.1]}),
    "float": (type("Metres", (float,), {"__float__": lambda _: 7.0})(-0.0), -0.0),
    "bytes": (type("Packet", (bytes,), {"__bytes__": lambda _: b""})(b"\0a\0"), b"\0a\0"),
    "complex": (type("Phase", (complex,), {"real": 7})(1 - 2j), 1 - 2j),
    "list": (type("Items", (list,), {"__iter__": lambda _: iter("x")})([1]), [1]),
    "set": (type("Bag", (set,), {})({1}), {1}),
    "frozenset": (type("Ice", (frozenset,), {})({1}), frozenset({1})),
    "masked-array": (MASKED, {"data": np.arange(3, dtype=np.int8), "mask": np.array([True, False, False])}),
}


@pytest.mark.parametrize(("value", "base"), DERIVED.values(), ids=list(DERIVED))
def test_a_value_of_a_derived_class_comes_back_as_pythons_and_is_reported(value, base):
    reported = []
    read = loads(dumps({"a": [value]}, on_repr=reported.append))["a"][0]
    check_identical(read, base, "loads of dumps")
    assert reported[0] is value


PLACES = {
    "itself": (lambda v: v, ""),
    "list": (lambda v: [1, v], "[1]"),
    "tuple": (lambda v: (v,), "[0]"),
    "dict": (lambda v: {"a": {"b": v}}, "/a/b"),
    "key": (lambda v: {v: 1}, ""),
    "array": (lambda v: np.array([1, v], object), "[1]"),
    "graph": (lambda v: GraphInstance(np.zeros(1), None, v), "[2]"),
}


@pytest.mark.parametrize(("wrap", "place"), PLACES.values(), ids=list(PLACES))
def test_what_is_left_as_text_is_found_at_its_place(wrap, place):
    assert [*places_of_text(loads(dumps(wrap(Custom()))))] == [place]
    assert [*places_of_text(loads(dumps(wrap("a text of its own"))))] == []


@pytest.mark.parametrize("value", KEPT.values(), ids=list(KEPT))
def test_what_has_an_exact_form_is_not_reported(value):
    reported = []
    dumps(value, on_repr=reported.append)
    assert reported == []


FOREIGN = {
    "array": ForeignArray(np.arange(3, dtype=np.int8)),
    "array-rank0": ForeignArray(np.float32(1.5)),
    "subclass": np.eye(2).view(np.memmap),
}


@pytest.mark.parametrize("value", FOREIGN.values(), ids=list(FOREIGN))
def test_array_of_another_library_comes_back_as_numpys_and_is_reported(value):
    reported = []
    (read,) = loads(dumps([value], on_repr=reported.append))
    check_identical(read, np.array(value, subok=False), "loads of dumps")
    assert len(reported) == 1
    assert reported[0] is value


def test_repr_carries_the_name_of_the_class():
    assert json.loads(dumps(Custom())) == {"$repr": [f"{__name__}.Custom", "<Custom ñ\ud800>"]}


# What is refused. ---------------------------------------------------------------------------------


def test_value_that_contains_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        dumps(value)


@pytest.mark.parametrize(
    "wrap",
    [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v}],
    ids=["list", "tuple", "dict", "pairs"],
)
def test_value_nested_too_deep_is_refused(wrap):
    value = 0
    for _ in range(150):
        value = wrap(value)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        dumps(value)


def nested(levels, wrap=lambda each: [each]):
    value = 0
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "value", [1.5, {"a": (1, None)}, {5: nested(99)}, nested(100)], ids=["n", "dict", "keys", "100"]
)
def test_what_has_a_form_is_tagged_as_it_is(value):
    assert tag_anything(value) == tag(value)


TOO_DEEP = {
    "list": (nested(150), {"$repr": ["list", repr(nested(150))]}, ""),
    "tuple": ((1, nested(150)), {"$repr": ["tuple", repr((1, nested(150)))]}, ""),
    "dict": (
        {"$a": 1, "b": nested(150), "c": (nested(98),)},
        {"$dict": [["$a", 1], ["b", {"$repr": ["list", repr(nested(150))]}], ["c", {"$tuple": [nested(98)]}]]},
        "/b",
    ),
    "dict-of-dicts": (
        {"a": nested(150, lambda each: {"b": each})},
        {"$dict": [["a", {"$repr": ["dict", repr(nested(150, lambda each: {"b": each}))]}]]},
        "/a",
    ),
    "key": (
        {nested(150, lambda each: (each,)): 1},
        {"$repr": ["dict", f"{{{nested(150, lambda each: (each,))}: 1}}"]},
        "",
    ),
}


@pytest.mark.parametrize(("value", "tagged", "place"), TOO_DEEP.values(), ids=list(TOO_DEEP))
def test_of_what_is_nested_too_deep_the_text_is_kept_and_it_is_reported(value, tagged, place):
    reported = []
    assert tag_anything(value, reported.append) == tag_anything(value) == tagged
    assert len(reported) == 1
    assert [*places_of_text(untag(tagged))] == [place]


def test_depth_in_a_dict_is_counted_from_the_dict():
    value = {"a": nested(100), "b": nested(101)}
    assert untag(tag_anything(value))["a"] == nested(100)
    assert type(untag(tag_anything(value))["b"]) is TaggedText


def test_an_object_whose_repr_raises_leaves_a_shortened_one():
    class Mute:
        def __repr__(self):
            raise ZeroDivisionError

    (name, text) = tag(Mute())["$repr"]
    assert name.endswith("Mute")
    assert text.startswith("<Mute instance at 0x")


HOSTILE = {
    "no-json": "{",
    "nothing": "",
    "unknown-tag": '{"$eval": "1"}',
    "tuple-of-number": '{"$tuple": 1}',
    "tuple-of-none": '{"$tuple": null}',
    "dict-of-singles": '{"$dict": [[1]]}',
    "dict-unhashable-key": '{"$dict": [[[], 1]]}',
    "set-of-lists": '{"$set": [[]]}',
    "float-too-short": '{"$float": "7ff0"}',
    "float-no-hex": '{"$float": "zz"}',
    "float-number": '{"$float": 1}',
    "bytes-no-base64": '{"$bytes": "a"}',
    "bytes-number": '{"$bytes": 1}',
    "complex-one-part": '{"$complex": [1]}',
    "complex-text": '{"$complex": ["a", 1]}',
    "array-pickle": '{"$array": ["O", [1], "AAAAAAAAAAA="]}',
    "array-void": '{"$array": ["V0", [1], ""]}',
    "array-no-dtype": '{"$array": ["nonsense", [1], ""]}',
    "array-too-short": '{"$array": ["<f8", [2], "AAAAAAAAAAA="]}',
    "array-too-long": '{"$array": ["|u1", [1], "AAAA"]}',
    "array-odd-bytes": '{"$array": ["<f8", [1], "AAA="]}',
    "array-shape-of-text": '{"$array": ["|u1", ["a"], "AAAA"]}',
    "array-parts": '{"$array": ["|u1", [1]]}',
    "array-of-pairs-dtype": '{"$array": [[["a", "O"]], [1], "AAAAAAAAAAA="]}',
    "numpy-empty": '{"$numpy": ["<f8", ""]}',
    "numpy-object": '{"$numpy": ["O", "AAAAAAAAAAA="]}',
    "object-shape": '{"$object": [[3], [1]]}',
    "object-no-list": '{"$object": [[1], 1]}',
    "graph-parts": '{"$graph": [1]}',
    "repr-alone": '{"$repr": []}',
    "as-alone": '{"$as": []}',
    "as-nothing": '{"$as": ["x"]}',
    "nested-too-deep": "[" * 100_000 + "]" * 100_000,
    "tags-nested-too-deep": '{"$tuple":[' * 10_000 + "]}" * 10_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_is_a_value_error(text):
    with pytest.raises(ValueError, match="."):
        loads(text)


def test_text_that_names_a_class_is_only_text():
    read = loads('{"$repr": ["os.system", "echo"]}')
    assert type(read) is TaggedText
    assert read == "echo"


@pytest.mark.long
@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ['"\\', "\\", '\\"', '"\n\\\n'], ids=repr)
def test_strings_that_do_not_end_take_no_longer_than_others(piece):
    with pytest.raises(ValueError):
        loads('"' + piece * (6_000_000 // len(piece)))


def test_commas_in_strings_are_no_values():
    text = json.dumps([",[{" * 2_000_000, '\\"', "\n,"])
    assert loads(text)[1:] == ['\\"', "\n,"]


def test_plain_json_may_be_only_so_deep():
    assert parse_json("[[1]]", 2) == [[1]]
    with pytest.raises(ValueError, match="too deep"):
        parse_json("[[1]]", 1)
