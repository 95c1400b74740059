"""A schema as JSON text, as ``/metadata`` has it, and back.

Only nodes of a Sequence or a Graph hold a space. ``space_json`` is imported when
the first of them is met: it imports Gymnasium, which takes 0.09 s, and the writer
process needs nothing else of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.lanes import MAX_LANES
from gym_h5record.format.nodes import (
    Array,
    DictOf,
    Graph,
    ListOf,
    Node,
    OneOf,
    Opaque,
    Scalar,
    Sequence,
    Stack,
    Text,
    TupleOf,
)
from gym_h5record.format.schema import NUMBER_REWARD, KeyColumn, Schema
from gym_h5record.limits import MAX_DEPTH, MAX_ITEM_BYTES, MAX_NODES, MAX_STACK_FRAMES, num_elements
from gym_h5record.values.exact import storable
from gym_h5record.values.tagged_json import parse_json, tag, untag

__all__ = ["schema_from_json", "schema_to_json"]

Json = dict[str, Any]

_MAX_NAME = 64 << 10  # an HDF5 message, such as a link with its name, has at most 64 KiB


def schema_to_json(schema: Schema) -> str:
    """Write a schema as JSON text."""
    content = {
        "observation": _to_json(schema.observation),
        "action": _to_json(schema.action),
        "frame": _to_json(schema.frame),
        "infos": _keys_to_json(schema.infos),
        "linked_frames": schema.linked_frames,
        "reward": _to_json(schema.reward),
        "extras": _keys_to_json(schema.extras),
        "times": schema.times,
    }
    if schema.num_envs is not None:
        content["num_envs"] = schema.num_envs
    return json.dumps(content, separators=(",", ":"))


def schema_from_json(text: str) -> Schema:
    """Read a schema. Any other text raises ``CorruptRecordingError``."""
    try:
        content = parse_json(text)
        _check_size(content)
        schema = Schema(
            observation=_from_json(content["observation"]),
            action=_from_json(content["action"]),
            frame=None if content["frame"] is None else _from_json(content["frame"]),
            infos=_keys_from_json(content["infos"]),
            linked_frames=bool(content["linked_frames"]),
            reward=_fixed(content["reward"]) if "reward" in content else NUMBER_REWARD,
            extras=_keys_from_json(content.get("extras")),
            times=bool(content.get("times")),
            num_envs=_lanes(content.get("num_envs")),
        )
        _check_names(schema)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        if isinstance(error, CorruptRecordingError):
            raise
        raise CorruptRecordingError(f"the schema in /metadata cannot be read: {error!r:.200}") from error
    return schema


def _check_size(content: Json) -> None:
    """Refuse a schema of too many or too deeply nested nodes before a node is built."""
    num_nodes = 0
    level = [content["observation"], content["action"]]
    level += [node for pairs in (content["infos"], content.get("extras")) for _, node in pairs or ()]
    level += [content[name] for name in ("frame", "reward") if content.get(name) is not None]
    for _ in range(MAX_DEPTH):
        num_nodes += len(level)
        if num_nodes > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES} nodes")
        level = [part for each in level for part in _parts(each)]
        if not level:
            return
    raise ValueError(f"its nodes are nested more than {MAX_DEPTH} deep")


def _parts(content: Json) -> list[Json]:
    """The descriptions of the nodes directly below a node; the lists in between are no level of their own."""
    kind = content["kind"]
    if kind == "DictOf":
        return [each for _, each in content["items"]]
    if kind == "TupleOf":
        return list(content["items"])
    if kind == "ListOf":
        return [content["item"]]
    if kind == "Sequence":
        return [content["items"]["item"]]
    if kind == "OneOf":
        return [each["item"] for each in content["branches"]]
    if kind == "Graph":
        return [content[name]["item"] for name in ("nodes", "edges", "links") if content[name] is not None]
    return []


def _check_names(schema: Schema) -> None:
    """Refuse names outside the tree of their root and names given twice: a hostile schema may name ``/commit``."""
    roots = [(fmt.ACTIONS, schema.action), (fmt.OBSERVATIONS, schema.observation)]
    roots += [] if schema.frame is None else [(fmt.FRAMES, schema.frame)]
    roots += [(fmt.INFOS, column.node) for column in schema.infos or ()]
    roots += [(fmt.EXTRAS, column.node) for column in schema.extras or ()]
    if schema.reward.name != fmt.REWARDS or 0 in schema.return_shape:
        raise ValueError(f"the node of rewards is named {schema.reward.name!r}, or has no elements")
    for root, node in roots:
        if root != fmt.OBSERVATIONS and _has_stack(node):
            raise ValueError(f"/{root} has stacks, which only observations may be")
        for name in [each.name for each in node.walk()] + [field.name for field in node.fields()]:
            if name != root and not name.startswith(f"{root}/"):
                raise ValueError(f"a node of /{root} is named {name!r}")
    names = [field.name for field in schema.fields]
    if len({*names}) < len(names) or len(schema.code_index) < len(schema.coded):
        raise ValueError("two nodes have the same name")
    for field in schema.fields:
        if field.item_bytes > MAX_ITEM_BYTES:
            raise ValueError(f"{field.name!r} has items of {field.item_bytes} bytes, more than {MAX_ITEM_BYTES}")


def _to_json(part: Any) -> Any:
    """A node, or a part of one, as JSON. The names of its attributes are keys, and so part of the format."""
    if isinstance(part, DictOf):
        return {"kind": "DictOf", "name": part.name, "items": [[tag(key), _to_json(each)] for key, each in part.items]}
    if isinstance(part, Node):
        return {"kind": type(part).__name__, **{name: _to_json(each) for name, each in vars(part).items()}}
    if isinstance(part, tuple):
        return list(map(_to_json, part))
    if isinstance(part, np.dtype):
        return part.str
    if part is None or isinstance(part, (str, int)):
        return part
    from gym_h5record.values.space_json import space_to_json

    return space_to_json(part)


def _from_json(content: Json) -> Node:
    return _BUILDERS[content["kind"]](content)


def _stack(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> Stack:
    if len(shape) < 2 or not 2 <= shape[0] <= MAX_STACK_FRAMES or 0 in shape:
        raise ValueError(f"a stack has the shape {shape!r:.80}")
    node = Stack(name, dtype, shape)
    if node.value_bytes > MAX_ITEM_BYTES:
        raise ValueError(f"{name!r:.80} has stacks of {node.value_bytes} bytes, more than {MAX_ITEM_BYTES}")
    return node


def _has_stack(node: Node) -> bool:
    return any(isinstance(each, Stack) for each in node.walk())


def _list(content: Json) -> ListOf:
    item = _from_json(content["item"])
    if _has_stack(item):
        raise ValueError("a list has stacks, but its items have no row before them")
    return ListOf(_name(content), item)


def _list_of(content: Json) -> ListOf:
    node = _from_json(content)
    if not isinstance(node, ListOf):
        raise TypeError(f"expected a ListOf, found {content['kind']}")
    return node


def _fixed(content: Json) -> Array | Scalar:
    node = _from_json(content)
    if not isinstance(node, (Array, Scalar)):
        raise TypeError(f"expected an Array or a Scalar, found {content['kind']}")
    return node


def _keys_to_json(columns: tuple[KeyColumn, ...] | None) -> Any:
    return None if columns is None else [[tag(column.key), _to_json(column.node)] for column in columns]


def _keys_from_json(pairs: Any) -> tuple[KeyColumn, ...] | None:
    if pairs is None:
        return None
    columns = tuple(KeyColumn(untag(key), _fixed(content)) for key, content in pairs)
    for column in columns:
        if type(column.key) is not str:
            raise TypeError(f"the key of a column is {column.key!r:.80}, expected text")
    return columns


def _dict_of(content: Json) -> Node:
    items = tuple((untag(key), _from_json(each)) for key, each in content["items"])
    if len(dict(items)) < len(items):
        raise ValueError("a dict has the same key twice")
    return DictOf(_name(content), items)


def _graph(content: Json) -> Node:
    edges = None if content["edges"] is None else _list_of(content["edges"])
    return Graph(_name(content), _list_of(content["nodes"]), edges, _list_of(content["links"]), _space(content))


def _space(content: Json) -> Any:
    from gym_h5record.values.space_json import space_from_json

    if content["space"]["type"] != content["kind"]:
        raise TypeError(f"a {content['kind']} node needs a {content['kind']} space")
    return space_from_json(content["space"], is_opaque=True)


def _lanes(number: Any) -> int | None:
    if number is not None and not (type(number) is int and 1 <= number <= MAX_LANES):
        raise ValueError(f"a recording has up to {MAX_LANES} lanes, not {number!r:.80}")
    return number


def _name(content: Json) -> str:
    name = content["name"]
    if type(name) is not str or len(name) > _MAX_NAME:
        raise ValueError(f"a node is named {name!r:.80}")
    return name


def _shape(lengths: Any) -> tuple[int, ...]:
    num_elements(lengths)
    return tuple(lengths)


def _dtype(text: Any) -> np.dtype:
    dtype = np.dtype(text) if type(text) is str else np.dtype(object)
    if not storable(dtype):
        raise ValueError(f"HDF5 cannot store the dtype {text!r:.80}")
    return dtype


_BUILDERS: dict[str, Callable[[Json], Node]] = {
    "Array": lambda c: Array(_name(c), _dtype(c["dtype"]), _shape(c["shape"])),
    "Stack": lambda c: _stack(_name(c), _dtype(c["dtype"]), _shape(c["shape"])),
    "Scalar": lambda c: Scalar(_name(c), _dtype(c["dtype"])),
    "Opaque": lambda c: Opaque(_name(c)),
    "DictOf": _dict_of,
    "TupleOf": lambda c: TupleOf(_name(c), tuple(_from_json(each) for each in c["items"])),
    "ListOf": _list,
    "Text": lambda c: Text(_name(c)),
    "Json": lambda c: nodes.Json(_name(c)),
    "Sequence": lambda c: Sequence(_name(c), _list_of(c["items"]), _space(c)),
    "Graph": _graph,
    "OneOf": lambda c: OneOf(_name(c), tuple(_list_of(each) for each in c["branches"])),
}
