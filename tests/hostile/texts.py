"""JSON that is deep or huge, or has values of an unexpected kind."""

from __future__ import annotations

import base64
import json
from typing import Any

import h5py
import numpy as np

from tests.hostile.cases import Cases, edit_json, set_text

__all__ = ["CASES"]

CASES = Cases()

DEEP = 100_000
MEDIUM = (150, 300, 480, 900)
ATTRIBUTES = (
    "schema",
    "user",
    "observation_space",
    "action_space",
    "versions",
    "env_wrappers",
    "env_spec",
    "compression",
)
PICTURES = ("cli replay --gif NEW.gif --png NEW.png",)


def _put(file: h5py.File, name: str, text: str) -> None:
    del file["metadata"].attrs[name]
    file["metadata"].attrs[name] = text


# Deep -----------------------------------------------------------------------------------------------

for _name in ATTRIBUTES:
    CASES.add_edited(
        f"{_name} is nested {DEEP} deep",
        lambda file, name=_name: _put(file, name, "[" * DEEP + "]" * DEEP),
        expect="any" if _name in ("env_spec", "compression") else "refused",
    )
    CASES.add_edited(
        f"{_name} is an object nested {DEEP} deep",
        lambda file, name=_name: _put(file, name, '{"a":' * DEEP + "1" + "}" * DEEP),
        expect="any" if _name in ("env_spec", "compression") else "refused",
    )
for _depth in MEDIUM:
    for _name in ("user", "versions", "env_wrappers"):
        CASES.add_edited(
            f"{_name} is nested {_depth} deep",
            lambda file, name=_name, depth=_depth: _put(file, name, '{"a":' + "[" * depth + "]" * depth + "}"),
            expect="any",
        )
    CASES.add_edited(
        f"user is tuples of dicts nested {_depth} deep",
        lambda file, depth=_depth: _put(
            file, "user", '{"a":' + '{"$tuple":[{"$dict":[[1,' * (depth // 4) + "2" + "]]}]}" * (depth // 4) + "}"
        ),
        expect="any",
    )
    CASES.add_edited(
        f"env_spec has kwargs nested {_depth} deep",
        lambda file, depth=_depth: _put(
            file, "env_spec", _spec(kwargs={"a": None}).replace("null}", "[" * depth + "]" * depth + "}", 1)
        ),
        expect="any",
    )


def _spec(**changes: Any) -> str:
    spec: dict[str, Any] = {
        "id": "Hostile-v0",
        "entry_point": "this:Env",
        "reward_threshold": None,
        "nondeterministic": False,
        "max_episode_steps": None,
        "order_enforce": True,
        "disable_env_checker": False,
        "kwargs": {},
        "namespace": None,
        "name": "Hostile",
        "version": 0,
        "additional_wrappers": [],
        "vector_entry_point": None,
    }
    return json.dumps({**spec, **changes})


# Specs ----------------------------------------------------------------------------------------------

WRAPPER = {"name": "w", "entry_point": "this:Wrapper", "kwargs": {"a": 1}}
SPECS: dict[str, Any] = {
    "names a module": {},
    "names a module as vector": {"vector_entry_point": "antigravity:Env"},
    "has wrappers of a module": {"additional_wrappers": [WRAPPER]},
    "has wrappers that are none": {"additional_wrappers": [7]},
    "names nothing": {"entry_point": None},
    "names a number": {"entry_point": 7},
    "has an odd id": {"id": "../\x1b[31m-v0", "name": "x"},
    "has no id": {"id": None},
    "has an endless id": {"id": "a-v" * 300_000 + "1"},
    "has a version of 5,000 digits": {"id": "a-v" + "9" * 5000},
    "has fields that there are not": {"__class__": "x", "evil": 1},
    "has kwargs that are a list": {"kwargs": [1]},
    "has escape codes": {"kwargs": {"\x1b[2J": "\x1b]0;x\x07"}, "entry_point": "\x1b[31m:x"},
}
for _words, _changes in SPECS.items():
    CASES.add_edited(
        f"env_spec {_words}", lambda file, changes=_changes: _put(file, "env_spec", _spec(**changes)), expect="any"
    )


# Values of custom spaces ----------------------------------------------------------------------------

VALUES = {
    "5 million lists": b"[" + b"[]," * 5_000_000 + b"[]]",
    "lists nested 100,000 deep": b"[" * DEEP + b"]" * DEEP,
    "an array of 2^40 elements": b'{"$array":["<f8",[1099511627776],""]}',
    "an array of objects": b'{"$array":["|O",[1],"AAAAAAAAAAA="]}',
    "an integer of a million digits": b"9" * 10**6,
    "another encoding": "[1]".encode("utf-16"),
    "nothing": b"",
}


def _as_json(file: h5py.File, text: bytes) -> None:
    edit_json(file, "schema", lambda schema: schema["observation"]["items"][1][1].update(kind="Json"))
    for row in range(len(file["observations/text/ends"])):
        set_text(file, "observations/text", row, b"1")
    set_text(file, "observations/text", 2, text)


for _words, _text in VALUES.items():
    CASES.add_edited(f"a custom space has a value of {_words}", lambda file, text=_text: _as_json(file, text))


@CASES.edited("a sequence of a custom space has 20 values of 300,000 values each")
def _(file: h5py.File) -> None:
    texts, values = {"kind": "Json", "name": "observations/text/values"}, b"[" + b"0," * 299_999 + b"0]"
    node = {
        "kind": "Sequence",
        "name": "observations/text",
        "items": {"kind": "ListOf", "name": "observations/text", "item": texts},
        "space": {"type": "Sequence", "space": {"type": "$custom", "class": "a:B", "repr": ""}, "stack": False},
    }
    edit_json(file, "schema", lambda schema: schema["observation"]["items"][1].__setitem__(1, node))
    ends = np.arange(1, 21) * len(values)
    del file["observations/text/values"]
    file.create_dataset("observations/text/values/ends", data=ends, maxshape=(None,), chunks=(512,))
    data = np.frombuffer(values * 20, np.uint8)
    file.create_dataset("observations/text/values/values", data=data, maxshape=(None,), chunks=(4096,))
    file["observations/text/ends"][...] = 20


# User metadata --------------------------------------------------------------------------------------


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


VALUES: dict[str, Any] = {
    "an object of Python": {"$array": ["|O", [1], _base64(bytes(8))]},
    "a dtype of 1 GB": {"$array": ["V1000000000", [1], ""]},
    "an empty dtype": {"$array": ["V0", [1 << 40], ""]},
    "a dtype of no name": {"$array": ["nonsense", [1], ""]},
    "a dtype of fields": {"$array": ["f8,i4,O", [1], _base64(bytes(20))]},
    "a dtype of many fields": {"$array": [",".join(["f8"] * 20_000), [1], ""]},
    "dates": {"$array": ["<M8[ns]", [2], _base64(bytes(range(16)))]},
    "dates of every kind": {"$array": ["<m8[1000000000000Y]", [1], _base64(bytes(8))]},
    "an array of no elements but 2^40 rows": {"$array": ["<f8", [1 << 40, 0], ""]},
    "an array of 2^80 rows of nothing": {"$array": ["<f8", [1 << 80, 0], ""]},
    "an array of a negative shape": {"$array": ["<f8", [-1, -1], _base64(bytes(8))]},
    "an array of 100 dimensions": {"$array": ["<f8", [1] * 100, _base64(bytes(8))]},
    "an array of another shape": {"$array": ["<f8", [1 << 40], _base64(bytes(8))]},
    "an array of objects of 2^40 rows": {"$object": [[1 << 40], [1]]},
    "an array of objects of nothing": {"$object": [[0, 1 << 40], []]},
    "texts of 1 GB": {"$array": ["<U250000000", [0], ""]},
    "an unknown tag": {"$pickle": "gASVBQAAAAAAAABLAS4="},
    "a tag of nothing": {"$": 1},
    "a set of lists": {"$set": [[1]]},
    "a key that is a list": {"$dict": [[[1], 2]]},
    "a graph of text": {"$graph": "abc"},
    "a graph of numbers": {"$graph": [1]},
    "a complex text": {"$complex": ["1", 2]},
    "a complex of lists": {"$complex": [[1], 2]},
    "a float of text": {"$float": "zz"},
    "a float of 100 digits": {"$float": "00" * 100},
    "bytes of a number": {"$bytes": 7},
    "numbers of NumPy of nothing": {"$numpy": ["<f8", ""]},
    "numbers of NumPy of a struct": {"$numpy": ["f8,f8", _base64(bytes(16))]},
    "text of NumPy of a list": {"$numpy": ["U", [1]]},
    "surrogates that are none": {"$surrogates": _base64(b"\xff\xff")},
    "a repr of lists": {"$repr": [[], []]},
    "a repr with escape codes": {"$repr": ["x", "\x1b[31m\x07"]},
    "escape codes": {"\x1b[2J": ["\x1b[31m", {"\x1b": b"".decode()}], "b": "\u202e\u2066\x9b"},
    "keys like the recorder's": {"schema": "{}", "observation_space": 7, "user": 1, "env_name": ["x"]},
    "a tuple with 2^70": {"$tuple": [1 << 70, -(1 << 70)]},
}
for _words, _value in VALUES.items():
    CASES.add_edited(
        f"user has {_words}",
        lambda file, value=_value: _put(file, "user", json.dumps({"key": value})),
        expect="any",
    )
CASES.add_edited("user is a list of pairs", lambda file: _put(file, "user", '[["a", 1], [["x"], 2]]'), expect="any")
CASES.add_edited(
    "user has 30 MB of empty lists",
    lambda file: _put(file, "user", '{"a":[' + "[]," * (9 << 20) + "1]}"),
    expect="any",
)
CASES.add_edited("user has a number of 1,000,000 digits", lambda file: _put(file, "user", '{"a":' + "9" * 10**6 + "}"))
CASES.add_edited(
    "user has a float of 1,000,000 digits",
    lambda file: _put(file, "user", '{"a": 0.' + "9" * 10**6 + "}"),
    expect="any",
)


# Texts of rows --------------------------------------------------------------------------------------

TEXTS: dict[str, bytes] = {
    f"nested {DEEP} deep": b"[" * DEEP + b"]" * DEEP,
    "nested 480 deep": b'{"a":' + b"[" * 480 + b"]" * 480 + b"}",
    "not JSON": b"{nonsense",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a list": b"[1, 2, 3]",
    "a number": b"7",
    "null": b"null",
    "an object of Python": b'{"a": {"$array": ["|O", [1], "AAAAAAAAAAA="]}, "/rewards": {"$pickle": "x"}}',
    "keys that drive a terminal": b'{"\\u001b[2J": 1, "\\u009b31m": "\\u001b]0;x\\u0007"}',
    "columns that there are": b'{"lives": "none", "position": null, "rewards": [1], "observations/text": 7, "seed": "\\u001b[2J", "options": "\\u001b[2J"}',
    "an array of 2^40 rows": b'{"a": {"$object": [[1099511627776, 0], []]}, "seed": 1e999, "options": [1]}',
    "a number of 100,000 digits": b'{"a": ' + b"9" * 100_000 + b"}",
}
for _words, _text in TEXTS.items():
    for _name in ("infos/json", "exceptions", "episodes/json"):
        CASES.add_edited(
            f"/{_name} is {_words}",
            lambda file, name=_name, text=_text: _set(file, name, text),
            expect="any",
        )


def _set(file: h5py.File, name: str, text: bytes) -> None:
    set_text(file, name, 1, text)
    if name == "exceptions":
        file["types"][1] = 255
    if name == "episodes/json":
        file["episodes/seeds"][1] = -2


@CASES.edited("exceptions are missing")
def _(file: h5py.File) -> None:
    file["types"][:] = 255
    file["exceptions/ends"][:] = 0


EXCEPTIONS: dict[str, Any] = {
    "texts": "\x1b[2Jnone",
    "lists": [[1], "x"],
    "objects": {"a": {"b": 1}},
    "nothing": None,
    "arrays": {"$array": ["<f8", [2, 2], _base64(bytes(32))]},
    "arrays of texts": {"$array": ["<U1", [1], _base64("\x1b".encode("utf-32-le"))]},
    "huge numbers": 10**400,
    "pictures of no height": {"$array": ["|u1", [0, 16, 3], ""]},
    "pictures of another rank": {"$array": ["|u1", [5], _base64(bytes(5))]},
    "pictures that are a long line": {"$array": ["|u1", [1, 30_000, 3], _base64(bytes(90_000))]},
}
NAMES = ("rewards", "actions", "terminations", "truncations", "observations", "frames", "infos/lives")
for _words, _value in EXCEPTIONS.items():

    @CASES.edited(f"everything is an exception: {_words}", expect="any", also=PICTURES)
    def _(file: h5py.File, value: Any = _value) -> None:
        file["types"][:] = 255
        text = json.dumps(dict.fromkeys(NAMES, value)).encode()
        for row in range(len(file["types"])):
            set_text(file, "exceptions", row, text)
        set_text(file, "infos/json", 1, json.dumps({"note": value, "lives": value}).encode())
