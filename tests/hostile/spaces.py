"""Spaces that are absurd, huge or deep, as JSON."""

from __future__ import annotations

import json
from typing import Any

import h5py

from tests.hostile.cases import Cases

__all__ = ["CASES"]

CASES = Cases()


def _put(file: h5py.File, name: str, text: str) -> None:
    del file["metadata"].attrs[name]
    file["metadata"].attrs[name] = text


BOX = {"type": "Box", "dtype": "<f4", "shape": [2], "low": {"all": 0.0}, "high": {"all": 1.0}}
SPACES: dict[str, Any] = {
    "a Box of 2^40 elements": {**BOX, "shape": [1 << 40]},
    "a Box of 2^80 elements": {**BOX, "shape": [1 << 40, 1 << 40]},
    "a Box of 2^40 rows of nothing": {**BOX, "shape": [1 << 40, 0]},
    "a Box of a negative shape": {**BOX, "shape": [-1, -(1 << 40)]},
    "a Box of a shape of floats": {**BOX, "shape": [2.5]},
    "a Box of a shape of texts": {**BOX, "shape": ["9"] * 20},
    "a Box of a shape of a text": {**BOX, "shape": "99999"},
    "a Box of no shape": {**BOX, "shape": None},
    "a Box of 100,000 dimensions": {**BOX, "shape": [1] * 100_000},
    "a Box of 3,000 huge dimensions": {**BOX, "shape": [10**4000] * 3000},
    "a Box of objects": {**BOX, "dtype": "O"},
    "a Box of 1 GB elements": {**BOX, "dtype": "V1000000000"},
    "a Box of texts": {**BOX, "dtype": "<U1000000"},
    "a Box of dates": {**BOX, "dtype": "M8[s]"},
    "a Box of complex numbers": {**BOX, "dtype": "<c16"},
    "a Box of structs": {**BOX, "dtype": "f8,f8"},
    "a Box of bounds of text": {**BOX, "low": {"all": "\x1b[2J"}},
    "a Box of NaN": {**BOX, "low": {"all": {"$float": "7ff8000000000000"}}},
    "a Box of bounds the wrong way round": {**BOX, "low": {"all": 3.0}},
    "a Box of bounds of another size": {**BOX, "low": [1.0, 2.0, 3.0]},
    "a Box of deep bounds": {**BOX, "low": json.loads("[" * 200 + "]" * 200)},
    "a Box that is bounded by a text": {**BOX, "dtype": "|u1", "bounded_below": "x"},
    "a Box of 96 MiB of bytes": {**BOX, "dtype": "|u1", "shape": [96 << 20], "low": {"all": 0}, "high": {"all": 255}},
    "a Box of 96 MiB of floats": {**BOX, "dtype": "<f8", "shape": [12 << 20]},
    "100 Boxes of 100 MB": {"type": "Tuple", "spaces": [{**BOX, "dtype": "|u1", "shape": [100 << 20]}] * 100},
    "10,000 Boxes": {"type": "Tuple", "spaces": [BOX] * 10_000},
    "a Box hidden in its bounds": {**BOX, "low": {"type": "Box", "shape": [1 << 40]}},
    "a MultiBinary of 2^40": {"type": "MultiBinary", "n": 1 << 40},
    "a MultiBinary of a shape": {"type": "MultiBinary", "n": [1 << 20, 1 << 20]},
    "a MultiBinary of 2^30": {"type": "MultiBinary", "n": 1 << 30},
    "a MultiBinary of 2^27": {"type": "MultiBinary", "n": 1 << 27},
    "a MultiBinary of a text": {"type": "MultiBinary", "n": "5"},
    "a MultiBinary of -1": {"type": "MultiBinary", "n": -1},
    "a Discrete of 2^100": {"type": "Discrete", "n": 1 << 100, "start": 0, "dtype": "<i8"},
    "a Discrete of 0": {"type": "Discrete", "n": 0, "start": 0, "dtype": "<i8"},
    "a Discrete of a text": {"type": "Discrete", "n": "\x1b[2J", "start": 0, "dtype": "<i8"},
    "a Discrete of objects": {"type": "Discrete", "n": 2, "start": 0, "dtype": "O"},
    "a MultiDiscrete of texts": {"type": "MultiDiscrete", "dtype": "<i8", "nvec": ["a"], "start": [0]},
    "a MultiDiscrete of nothing": {"type": "MultiDiscrete", "dtype": "<i8", "nvec": [], "start": []},
    "a deep MultiDiscrete": {
        "type": "MultiDiscrete",
        "dtype": "<i8",
        "nvec": json.loads("[" * 200 + "2" + "]" * 200),
        "start": 0,
    },
    "a Text of 2^62 characters": {"type": "Text", "min_length": 0, "max_length": 1 << 62, "charset": "ab"},
    "a Text of escape codes": {"type": "Text", "min_length": 0, "max_length": 5, "charset": "\x1b[31m\x07\u202e"},
    "a Text of no characters": {"type": "Text", "min_length": 3, "max_length": 5, "charset": ""},
    "a Text of all characters": {
        "type": "Text",
        "min_length": 0,
        "max_length": 5,
        "charset": "".join(map(chr, range(0xD800))),
    },
    "a Text of numbers": {"type": "Text", "min_length": 0, "max_length": 5, "charset": [1, 2]},
    "a Text of a negative length": {"type": "Text", "min_length": -1, "max_length": -5, "charset": "a"},
    "a Dict of escape codes": {"type": "Dict", "spaces": [["\x1b[2J\x1b]0;x\x07", BOX], ["\r\n\u202e", BOX]]},
    "a Dict of a key twice": {"type": "Dict", "spaces": [["a", BOX], ["a", BOX]]},
    "a Dict of a key that is a list": {"type": "Dict", "spaces": [[["a"], BOX]]},
    "a Dict of nothing": {"type": "Dict", "spaces": [[]]},
    "a Dict of a Dict": {"type": "Dict", "spaces": {"a": BOX}},
    "a Graph of a Text": {
        "type": "Graph",
        "nodes": {"type": "Text", "min_length": 0, "max_length": 1, "charset": "a"},
        "edges": None,
    },
    "a Sequence of nothing": {"type": "Sequence", "space": None, "stack": False},
    "a OneOf of nothing": {"type": "OneOf", "spaces": []},
    "a space of the module os": {"type": "$custom", "class": "os:system", "repr": "touch", "json": "touch"},
    "a custom space of escape codes": {"type": "$custom", "class": "\x1b[31m:\x07", "repr": "\x1b[2J\x1b]0;x\x07\r\n"},
    "a custom space of 10 MB of text": {"type": "$custom", "class": "a:B", "repr": "x" * (10 << 20)},
    "a custom space of 10 MB of name": {"type": "$custom", "class": "x" * (10 << 20), "repr": ""},
    "a custom space of bytes": {"type": "$custom", "class": "a:B", "repr": {"$bytes": ""}},
    "a custom space of a million values": {"type": "$custom", "class": "a:B", "repr": "", "json": [0] * 10**6},
    "a custom space of deep values": {
        "type": "$custom",
        "class": "a:B",
        "repr": "",
        "json": json.loads("[" * 300 + "]" * 300),
    },
    "a Sequence of a custom space": {
        "type": "Sequence",
        "space": {"type": "$custom", "class": "a:B", "repr": "\x1b[2J"},
        "stack": True,
    },
    "a type that there is not": {"type": "__import__", "spaces": []},
    "no type": {},
    "a list": [BOX],
    "a text": "Box",
}
for _words, _space in SPACES.items():
    CASES.add_edited(
        f"observation_space is {_words}",
        lambda file, space=_space: _put(file, "observation_space", json.dumps(space)),
        expect="any",
    )


def _nested(kind: str, depth: int) -> str:
    opening, closing = {
        "Tuple": ('{"type": "Tuple", "spaces": [', "]}"),
        "Dict": ('{"type": "Dict", "spaces": [["a", ', "]]}"),
        "Sequence": ('{"type": "Sequence", "stack": true, "space": ', "}"),
        "OneOf": ('{"type": "OneOf", "spaces": [', "]}"),
        "Graph": ('{"type": "Graph", "edges": null, "nodes": ', "}"),
    }[kind]
    return opening * depth + json.dumps(BOX) + closing * depth


for _kind in ("Tuple", "Dict", "Sequence", "OneOf", "Graph"):
    for _depth in (90, 150, 240, 320, 450, 5000):
        CASES.add_edited(
            f"observation_space is {_kind} in {_kind}, {_depth} deep",
            lambda file, kind=_kind, depth=_depth: _put(file, "observation_space", _nested(kind, depth)),
            expect="any",
        )
CASES.add_edited(
    "observation_space has 30 MB of spaces",
    lambda file: _put(
        file,
        "observation_space",
        '{"type": "Tuple", "spaces": ['
        + ",".join(['{"type":"Discrete","n":2,"start":0,"dtype":"i8"}'] * 600_000)
        + "]}",
    ),
    expect="any",
)
