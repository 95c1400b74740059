"""Schemas as JSON text: equal again, or refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Discrete, Graph

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import nodes
from gym_h5record.format.column_planning import MISSING, plan_keys, plan_space, plan_value
from gym_h5record.format.schema import NUMBER_REWARD, Schema
from gym_h5record.format.schema_json import schema_from_json, schema_to_json
from gym_h5record.values.custom_spaces import OpaqueSpace
from tests.custom_spaces import Grid, every_custom_space, grids_registered
from tests.zoo import ODD_KEYS, SPACES_BY_ID, check_identical, every_space, passing_infos, samples

INFOS = plan_keys("infos", [passing_infos(0), passing_infos(1), dict.fromkeys(ODD_KEYS, 0.5)])
EXTRAS = plan_keys("extras", [passing_infos(1), dict.fromkeys(ODD_KEYS, 1)])
REWARD = nodes.Array("rewards", np.dtype(np.float32), (2, 3))
FRAME = plan_value("frames", np.zeros((4, 5, 3), np.uint8))


def make_schema(space=None, **others):
    node = plan_space(Discrete(2) if space is None else space, "observations")
    return Schema(node, **{"action": plan_space(Discrete(2), "actions"), "frame": None, "infos": None, **others})


def check_identity(schema):
    """Fail unless a schema comes back equal in every column."""
    again = schema_from_json(schema_to_json(schema))
    assert again == schema
    assert again.fields == schema.fields
    assert again.coded == schema.coded
    check_identical([c.key for c in again.infos or ()], [c.key for c in schema.infos or ()], "keys of infos")
    check_identical([c.key for c in again.extras or ()], [c.key for c in schema.extras or ()], "keys of extras")


@every_space
def test_identity_of_spaces(space):
    node = plan_space(space, "observations")
    check_identity(Schema(node, plan_space(space, "actions"), FRAME, INFOS))


@every_custom_space
def test_identity_of_custom_spaces(space):
    values = [MISSING, *samples(space, 5)]
    for value in values:
        check_identity(make_schema(space, action=plan_space(space, "actions", value)))


def test_a_schema_names_no_registered_class():
    """Whether a class is registered changes no column: rows may be appended by a program that knows it not."""
    with grids_registered():
        schema = make_schema(spaces.Sequence(Grid(3), stack=True))
        check_identity(schema)
        text = schema_to_json(schema)
        assert type(schema_from_json(text).observation.space.feature_space) is OpaqueSpace
    assert schema_from_json(text) == schema


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"frame": FRAME},
        {"frame": nodes.Opaque("frames")},
        {"infos": ()},
        {"infos": INFOS},
        {"linked_frames": True},
        {"extras": ()},
        {"extras": EXTRAS},
        {"reward": REWARD},
        {"times": True},
        {"frame": FRAME, "infos": INFOS, "linked_frames": True, "reward": REWARD, "extras": EXTRAS, "times": True},
    ],
    ids=[
        *("nothing", "frame", "opaque-frame", "no-columns", "infos", "linked"),
        *("no-extras", "extras", "reward", "times", "all"),
    ],
)
def test_identity_of_the_other_parts(others):
    check_identity(make_schema(**others))


def test_identity_of_stacks():
    stacks = [
        nodes.Stack(f"observations/{k}", np.dtype(np.uint8), shape) for k, shape in enumerate(((4, 84, 84), (2, 9)))
    ]
    schema = replace(make_schema(), observation=nodes.TupleOf("observations", tuple(stacks)))
    check_identity(schema)
    assert json.loads(schema_to_json(schema))["observation"]["items"][0] == {
        "kind": "Stack",
        "name": "observations/0",
        "dtype": "|u1",
        "shape": [4, 84, 84],
    }


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "|b1", "|u1", ">i8"])
def test_identity_of_dtypes(dtype):
    array = nodes.Array("observations", np.dtype(dtype), (2, 0, 1))
    check_identity(Schema(array, nodes.Scalar("actions", np.dtype(dtype)), None, None))


def test_keys_come_back_with_their_types():
    schema = make_schema(SPACES_BY_ID["Dict-odd-keys"])
    again = schema_from_json(schema_to_json(schema))
    check_identical([key for key, _ in again.observation.items], list(ODD_KEYS), "keys")


def test_encode_is_ascii_json_that_the_format_describes():
    infos, extras = plan_keys("infos", [{"lives": 1}]), plan_keys("extras", [{"value": 0.5}])
    text = schema_to_json(make_schema(Box(0, 1, (2,), np.float32), infos=infos, extras=extras, times=True))
    assert text.isascii()
    assert json.loads(text) == {
        "observation": {"kind": "Array", "name": "observations", "dtype": "<f4", "shape": [2]},
        "action": {"kind": "Scalar", "name": "actions", "dtype": "<i8"},
        "frame": None,
        "infos": [["lives", {"kind": "Scalar", "name": "infos/lives", "dtype": "<i8"}]],
        "linked_frames": False,
        "reward": {"kind": "Scalar", "name": "rewards", "dtype": "<f8"},
        "extras": [["value", {"kind": "Scalar", "name": "extras/value", "dtype": "<f8"}]],
        "times": True,
    }


def test_a_schema_of_a_version_without_extras_times_and_arrays_of_rewards_is_read():
    content = json.loads(schema_to_json(make_schema(infos=INFOS)))
    for name in LATER:
        del content[name]
    schema = schema_from_json(json.dumps(content))
    assert (schema.reward, schema.extras, schema.times) == (NUMBER_REWARD, None, False)
    assert schema == make_schema(infos=INFOS)


LATER = ("reward", "extras", "times")
"""Parts that schemas of earlier versions lack."""

_GOOD = json.loads(schema_to_json(make_schema(infos=())))
_ARRAY = {"kind": "Array", "name": "x", "dtype": "<f4", "shape": [2]}
_STACK = {"kind": "Stack", "name": "observations", "dtype": "<f4", "shape": [4, 2]}
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
    **{f"without-{name}": json.dumps(_without(_GOOD, name)) for name in _GOOD if name not in LATER},
    "unknown-kind": _with(observation={"kind": "Node", "name": "x"}),
    "kind-unhashable": _with(observation={"kind": [], "name": "x"}),
    "node-of-text": _with(observation="Array"),
    "node-of-nothing": _with(action=None),
    **{f"array-without-{name}": _with(observation=_without(_ARRAY, name)) for name in _ARRAY},
    "array-of-no-dtype": _with(observation={**_ARRAY, "dtype": "nonsense"}),
    "array-of-dtype-list": _with(observation={**_ARRAY, "dtype": 5}),
    "array-shape-number": _with(observation={**_ARRAY, "shape": 2}),
    "json-without-name": _with(observation={"kind": "Json"}),
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
    **{f"stack-without-{name}": _with(observation=_without(_STACK, name)) for name in _STACK},
    "stack-of-one": _with(observation={**_STACK, "shape": [1, 2]}),
    "stack-of-many": _with(observation={**_STACK, "shape": [65, 2]}),
    "stack-of-numbers": _with(observation={**_STACK, "shape": [4]}),
    "stack-of-nothing": _with(observation={**_STACK, "shape": [4, 0]}),
    "stack-too-large": _with(observation={**_STACK, "shape": [64, 1 << 19]}),
    "stack-as-action": _with(action={**_STACK, "name": "actions"}),
    "stack-as-frame": _with(frame={**_STACK, "name": "frames"}),
    "stack-as-info": _with(infos=[["a", {**_STACK, "name": "infos/a"}]]),
    "stacks-in-a-list": _with(observation={**_LIST, "name": "observations", "item": _STACK}),
    "stacks-in-a-list-of-dicts": _with(
        observation={**_LIST, "item": {"kind": "DictOf", "name": "x", "items": [["a", _STACK]]}}
    ),
    "stacks-in-a-sequence": _with(observation={**_SEQUENCE, "items": {**_LIST, "item": _STACK}}),
    "infos-of-text": _with(infos="a"),
    "infos-of-singles": _with(infos=[["a"]]),
    "infos-ragged": _with(infos=[["a", _LIST]]),
    "extras-of-text": _with(extras="a"),
    "extras-ragged": _with(extras=[["a", _LIST]]),
    "extras-of-infos": _with(extras=[["a", {"kind": "Scalar", "name": "infos/a", "dtype": "<i8"}]]),
    "extras-named-twice": _with(extras=[[key, {"kind": "Scalar", "name": "extras/a", "dtype": "<i8"}] for key in "ab"]),
    "reward-of-nothing": _with(reward=None),
    "reward-ragged": _with(reward={**_LIST, "name": "rewards"}),
    "reward-without-elements": _with(reward={**_ARRAY, "name": "rewards", "shape": [0]}),
    "reward-elsewhere": _with(reward={**_ARRAY, "name": "observations"}),
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
@pytest.mark.parametrize("group", ["infos", "extras"])
def test_keys_of_infos_and_extras_must_be_text(group, key):
    content = json.loads(schema_to_json(make_schema(infos=INFOS, extras=EXTRAS)))
    content[group][0][0] = key
    with pytest.raises(CorruptRecordingError, match="schema"):
        schema_from_json(json.dumps(content))
