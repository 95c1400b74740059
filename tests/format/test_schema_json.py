"""Schemas as JSON text: equal again, or refused."""

import json

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Discrete, Graph

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_infos, plan_space, plan_value
from gym_h5record.format.schema import Schema
from gym_h5record.format.schema_json import schema_from_json, schema_to_json
from tests.zoo import ODD_KEYS, SPACES_BY_ID, check_identical, every_space, passing_infos

INFOS = plan_infos([passing_infos(0), passing_infos(1), dict.fromkeys(ODD_KEYS, 0.5)])
FRAME = plan_value("frames", np.zeros((4, 5, 3), np.uint8))


def make_schema(space=None, **others):
    node = plan_space(Discrete(2) if space is None else space, "observations")
    return Schema(node, plan_space(Discrete(2), "actions"), **{"frame": None, "infos": None, **others})


def check_identity(schema):
    """Fail unless a schema comes back equal in every column."""
    again = schema_from_json(schema_to_json(schema))
    assert again == schema
    assert again.fields == schema.fields
    assert again.coded == schema.coded
    check_identical([c.key for c in again.infos or ()], [c.key for c in schema.infos or ()], "keys of infos")


@every_space
def test_identity_of_spaces(space):
    node = plan_space(space, "observations")
    check_identity(Schema(node, plan_space(space, "actions"), FRAME, INFOS))


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"frame": FRAME},
        {"frame": nodes.Opaque("frames")},
        {"infos": ()},
        {"infos": INFOS},
        {"linked_frames": True},
        {"frame": FRAME, "infos": INFOS, "linked_frames": True},
    ],
    ids=["nothing", "frame", "opaque-frame", "no-columns", "infos", "linked", "all"],
)
def test_identity_of_the_other_parts(others):
    check_identity(make_schema(**others))


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "|b1", "|u1", ">i8"])
def test_identity_of_dtypes(dtype):
    array = nodes.Array("observations", np.dtype(dtype), (2, 0, 1))
    check_identity(Schema(array, nodes.Scalar("actions", np.dtype(dtype)), None, None))


def test_keys_come_back_with_their_types():
    schema = make_schema(SPACES_BY_ID["Dict-odd-keys"])
    again = schema_from_json(schema_to_json(schema))
    check_identical([key for key, _ in again.observation.items], list(ODD_KEYS), "keys")


def test_encode_is_ascii_json_that_the_format_describes():
    text = schema_to_json(make_schema(Box(0, 1, (2,), np.float32), infos=plan_infos([{"lives": 1}])))
    assert text.isascii()
    assert json.loads(text) == {
        "observation": {"kind": "Array", "name": "observations", "dtype": "<f4", "shape": [2]},
        "action": {"kind": "Scalar", "name": "actions", "dtype": "<i8"},
        "frame": None,
        "infos": [["lives", {"kind": "Scalar", "name": "infos/lives", "dtype": "<i8"}]],
        "linked_frames": False,
    }


_GOOD = json.loads(schema_to_json(make_schema(infos=())))
_ARRAY = {"kind": "Array", "name": "x", "dtype": "<f4", "shape": [2]}
_LIST = {"kind": "ListOf", "name": "x", "item": _ARRAY}
_SEQUENCE = json.loads(schema_to_json(make_schema(spaces.Sequence(Discrete(2)))))["observation"]
_GRAPH = json.loads(schema_to_json(make_schema(Graph(Discrete(2), Discrete(2)))))["observation"]


def _with(**changes):
    return json.dumps({**_GOOD, **changes})


def _without(content, name):
    return {key: value for key, value in content.items() if key != name}


HOSTILE = {
    "nothing": "",
    "no-json": "{",
    "no-object": "[]",
    "null": "null",
    **{f"without-{name}": json.dumps(_without(_GOOD, name)) for name in _GOOD},
    "unknown-kind": _with(observation={"kind": "Node", "name": "x"}),
    "kind-unhashable": _with(observation={"kind": [], "name": "x"}),
    "node-of-text": _with(observation="Array"),
    "node-of-nothing": _with(action=None),
    **{f"array-without-{name}": _with(observation=_without(_ARRAY, name)) for name in _ARRAY},
    "array-of-no-dtype": _with(observation={**_ARRAY, "dtype": "nonsense"}),
    "array-of-dtype-list": _with(observation={**_ARRAY, "dtype": 5}),
    "array-shape-number": _with(observation={**_ARRAY, "shape": 2}),
    "dict-of-singles": _with(observation={"kind": "DictOf", "name": "x", "items": [["a"]]}),
    "dict-unknown-tag": _with(observation={"kind": "DictOf", "name": "x", "items": [[{"$eval": 1}, _ARRAY]]}),
    "tuple-of-none": _with(observation={"kind": "TupleOf", "name": "x", "items": [None]}),
    "sequence-of-array": _with(observation={**_SEQUENCE, "items": _ARRAY}),
    "sequence-of-box": _with(observation={**_SEQUENCE, "space": {"type": "MultiBinary", "n": 2}}),
    "sequence-of-no-space": _with(observation={**_SEQUENCE, "space": {"type": "?"}}),
    "graph-of-box": _with(observation={**_GRAPH, "space": {"type": "MultiBinary", "n": 2}}),
    "graph-nodes-array": _with(observation={**_GRAPH, "nodes": _ARRAY}),
    "graph-edges-array": _with(observation={**_GRAPH, "edges": _ARRAY}),
    "graph-links-nothing": _with(observation={**_GRAPH, "links": None}),
    "one-of-array": _with(observation={"kind": "OneOf", "name": "x", "branches": [_ARRAY]}),
    "infos-of-text": _with(infos="a"),
    "infos-of-singles": _with(infos=[["a"]]),
    "infos-ragged": _with(infos=[["a", _LIST]]),
    "nested-without-end": "[" * 100_000,
    "nodes-nested-too-deep": _with(observation=0).replace(
        '"observation": 0',
        '"observation": ' + '{"kind":"ListOf","name":"x","item":' * 3000 + json.dumps(_ARRAY) + "}" * 3000,
    ),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_is_corrupt(text):
    with pytest.raises(CorruptRecordingError, match="cannot be read|not the description of a space"):
        schema_from_json(text)


@pytest.mark.parametrize("key", [[1], {"$tuple": [[1]]}, "second"])
def test_keys_of_a_dict_must_be_hashable_and_different(key):
    content = json.loads(schema_to_json(make_schema(spaces.Dict(first=Discrete(2), second=Discrete(2)))))
    content["observation"]["items"][0][0] = key
    with pytest.raises(CorruptRecordingError, match="schema"):
        schema_from_json(json.dumps(content))


@pytest.mark.parametrize("key", [[1], 7, None, {"$tuple": [[1]]}])
def test_keys_of_infos_must_be_text(key):
    content = json.loads(schema_to_json(make_schema(infos=INFOS)))
    content["infos"][0][0] = key
    with pytest.raises(CorruptRecordingError, match="schema"):
        schema_from_json(json.dumps(content))
