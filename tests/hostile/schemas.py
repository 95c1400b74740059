"""Schemas that name wrong datasets, or describe impossible columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import h5py

from tests.hostile.cases import Cases, edit_json

__all__ = ["CASES"]

CASES = Cases()

Change = Callable[[dict[str, Any]], Any]

PICTURE = 0  # the first item of the observation is the picture, the second one the text


def _item(schema: dict[str, Any], number: int) -> dict[str, Any]:
    item: dict[str, Any] = schema["observation"]["items"][number][1]
    return item


def _set(number: int, **changes: Any) -> Change:
    return lambda schema: _item(schema, number).update(changes)


def _action(**changes: Any) -> Change:
    return lambda schema: schema["action"].update(changes)


def _info(number: int, **changes: Any) -> Change:
    return lambda schema: schema["infos"][number][1].update(changes)


def _top(**changes: Any) -> Change:
    return lambda schema: schema.update(changes)


def _deepen(file: h5py.File, opening: str, closing: str, depth: int) -> None:
    attributes = file["metadata"].attrs
    schema = {**json.loads(attributes["schema"]), "observation": "HERE"}
    deep = opening * depth + json.dumps(OPAQUE) + closing * depth
    attributes["schema"] = json.dumps(schema).replace('"HERE"', deep)


OPAQUE = {"kind": "Opaque", "name": "observations/x"}
LIST = {
    "kind": "ListOf",
    "name": "observations",
    "item": {"kind": "DictOf", "name": "observations/values", "items": []},
}
BOX = {"type": "Box", "dtype": "<f4", "shape": [2], "low": {"all": 0.0}, "high": {"all": 1.0}}

CHANGES: dict[str, Change] = {
    "names the commit": _set(PICTURE, name="commit"),
    "names the types": _set(PICTURE, name="types"),
    "names the root": _set(PICTURE, name=""),
    "names a path up the tree": _set(PICTURE, name="observations/../commit"),
    "names a path from the root": _set(PICTURE, name="/observations/picture"),
    "names a path with empty steps": _set(PICTURE, name="observations//picture"),
    "names a path with a dot": _set(PICTURE, name="observations/./picture"),
    "names a path with a slash behind": _set(PICTURE, name="observations/picture/"),
    "names another place": _set(PICTURE, name="observationspicture"),
    "names escape codes": _set(PICTURE, name="observations/\x1b[2J\x1b]0;x\x07\n"),
    "names a NUL": _set(PICTURE, name="observations/picture\0"),
    "names half a surrogate": _set(PICTURE, name="observations/\ud800"),
    "names 10 MB": _set(PICTURE, name="observations/" + "x" * (10 << 20)),
    "names a million steps": _set(PICTURE, name="observations" + "/x" * 10**6),
    "names a number": _set(PICTURE, name=7),
    "names a list": _set(PICTURE, name=["observations"]),
    "names one dataset twice": _set(1, kind="Array", dtype="|u1", shape=[40, 30], name="observations/picture"),
    "names the frames": _set(PICTURE, name="frames"),
    "names the infos as an action": _action(name="infos/lives"),
    "has keys that drive a terminal": lambda schema: schema["observation"]["items"][0].__setitem__(0, "\x1b[2J"),
    "has a key that is a list": lambda schema: schema["observation"]["items"][0].__setitem__(0, [1]),
    "has one key twice": lambda schema: schema["observation"]["items"][1].__setitem__(
        0, schema["observation"]["items"][0][0]
    ),
    "has an info key that is a list": lambda schema: schema["infos"][0].__setitem__(0, {"$tuple": [[1]]}),
    "has an info key that drives a terminal": lambda schema: schema["infos"][0].__setitem__(0, "\x1b[2J"),
    "has another dtype": _set(PICTURE, dtype="<f8"),
    "has another byte order": _action(dtype=">i8"),
    "has objects": _set(PICTURE, dtype="|O"),
    "has void of 1 GB": _set(PICTURE, dtype="|V1000000000"),
    "has dates": _action(dtype="<M8[s]"),
    "has complex numbers": _action(dtype="<c16"),
    "has long doubles": _action(dtype="<f16"),
    "has texts": _action(dtype="<U8"),
    "has structs": _action(dtype="f8,f8"),
    "has a dtype that is none": _action(dtype="\x1b[2J"),
    "has a dtype that is a list": _action(dtype=[["a", "<f8"], ["b", "|O"]]),
    "has a dtype that is an object": _action(
        dtype={"names": ["a"], "formats": ["O"], "offsets": [1 << 40], "itemsize": 1 << 41}
    ),
    "has another shape": _set(PICTURE, shape=[30, 40]),
    "has a negative shape": _set(PICTURE, shape=[-40, -30]),
    "has a shape of floats": _set(PICTURE, shape=[40.0, 30.0]),
    "has a shape of booleans": _set(PICTURE, shape=[True, True]),
    "has a shape of texts": _set(PICTURE, shape=["40", "30"]),
    "has a huge shape": _set(PICTURE, shape=[1 << 40, 1 << 40]),
    "has a huge shape of nothing": _set(PICTURE, shape=[0, 1 << 40]),
    "has a shape of 100,000 dimensions": _set(PICTURE, shape=[1] * 100_000),
    "has a shape of 3,000 huge dimensions": _set(PICTURE, shape=[10**4000] * 3000),
    "has shapes of nothing in the rewards' place": _set(PICTURE, shape=[0], name="observations/none"),
    "has a kind that there is not": _set(PICTURE, kind="__class__"),
    "has no kind": lambda schema: _item(schema, PICTURE).pop("kind"),
    "has an array for a text": _set(1, kind="Array", dtype="|u1", shape=[]),
    "has a text for an array": _set(PICTURE, kind="Text"),
    "has JSON text for a text": _set(1, kind="Json"),
    "has JSON text for an array": _set(PICTURE, kind="Json"),
    "has a scalar for an array": _set(PICTURE, kind="Scalar"),
    "has an opaque observation": _top(observation={"kind": "Opaque", "name": "observations"}),
    "has an opaque frame": _top(frame={"kind": "Opaque", "name": "frames"}),
    "has a frame that is text": _top(frame={"kind": "Text", "name": "frames"}),
    "has a frame of numbers": _top(frame={"kind": "Scalar", "name": "rewards", "dtype": "<f8"}),
    "has no frame": _top(frame=None),
    "links the frames": _top(linked_frames=True),
    "links the frames, which are text": _top(linked_frames="\x1b[2J", frame=None),
    "has no infos": _top(infos=None),
    "has infos that are text": _top(infos="abc"),
    "has infos that are a number": _top(infos=7),
    "has an info that is text": _info(0, kind="Text"),
    "has an info of another name": _info(0, name="infos/json"),
    "has an info of the name of the texts": _info(0, name="infos/json/values"),
    "has no action": _top(action=None),
    "is a list of 100,000 nodes": _top(
        observation={
            "kind": "TupleOf",
            "name": "observations",
            "items": [{"kind": "Opaque", "name": f"observations/{number}"} for number in range(100_000)],
        }
    ),
    "is a list of 400,000 datasets": _top(
        observation={
            "kind": "TupleOf",
            "name": "observations",
            "items": [
                {"kind": "Scalar", "name": f"observations/{number}", "dtype": "<f8"} for number in range(400_000)
            ],
        }
    ),
    "is a dict that has more below": lambda schema: schema["observation"].update(kind="TupleOf", items=[OPAQUE]),
    "is a list of endless nothing": _top(
        observation={
            "kind": "Sequence",
            "name": "observations",
            "items": LIST,
            "space": {"type": "Sequence", "space": {"type": "Dict", "spaces": []}, "stack": False},
        }
    ),
    "is a sequence of another space": _top(
        observation={"kind": "Sequence", "name": "observations", "items": LIST, "space": BOX}
    ),
    "is a sequence without a list": _top(
        observation={
            "kind": "Sequence",
            "name": "observations",
            "items": OPAQUE,
            "space": {"type": "Sequence", "space": BOX, "stack": True},
        }
    ),
    "is a list": lambda schema: [schema],
    "is empty": lambda schema: {},
    "is null": lambda schema: {
        "observation": None,
        "action": None,
        "frame": None,
        "infos": None,
        "linked_frames": None,
    },
}
for _words, _change in CHANGES.items():

    @CASES.edited(f"the schema {_words}", expect="any")
    def _(file: h5py.File, change: Change = _change) -> None:
        edit_json(file, "schema", change)


for _depth in (120, 200, 320, 450):
    for _kind, _opening, _closing in (
        ("TupleOf", '{"kind":"TupleOf","name":"observations/x","items":[', "]}"),
        ("ListOf", '{"kind":"ListOf","name":"observations/x","item":', "}"),
        ("DictOf", '{"kind":"DictOf","name":"observations/x","items":[["a",', "]]}"),
        ("OneOf", '{"kind":"OneOf","name":"observations/x","branches":[', "]}"),
    ):
        CASES.add_edited(
            f"the schema is {_kind} in {_kind}, {_depth} deep",
            lambda file, opening=_opening, closing=_closing, depth=_depth: _deepen(file, opening, closing, depth),
            expect="any",
        )
