"""Nodes: the fields of each, and the order of the tree."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Text

from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_space
from gym_h5record.format.nodes import Field
from tests.format import names
from tests.zoo import every_space

F32 = np.dtype(np.float32)
I64 = np.dtype(np.int64)
U8 = np.dtype(np.uint8)


def test_array_without_elements_needs_no_field():
    assert list(nodes.Array("x", F32, (2, 0)).fields()) == []
    assert names(nodes.Array("x", F32, ()).fields()) == ["x"]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (Field("x", F32), 4),
        (Field("x", F32, (2, 3)), 24),
        (Field("x", U8, (210, 160, 3)), 100_800),
        (Field("x", I64, (0, 5)), 0),
    ],
    ids=["scalar", "array", "picture", "empty"],
)
def test_bytes_of_an_item(field, expected):
    assert field.item_bytes == expected
    assert type(field.item_bytes) is int


@pytest.mark.parametrize(
    ("field", "axis"),
    [
        (Field("rewards", F32), "row"),
        (Field("observations/ends", I64, is_ends=True), "row"),
        (Field("observations/values", F32, parent="observations/ends"), "item"),
        (Field("episodes/starts", I64), "episode"),
        (Field("episodes/json/ends", I64, is_ends=True), "episode"),
        (Field("episodes/json/values", U8, parent="episodes/json/ends"), "item"),
        (Field("episodes", I64), "row"),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_a_field_has_an_item_per_row_or_episode_or_none(field, axis):
    assert field.axis == axis


def test_a_stack_has_its_newest_frame_per_row_and_a_list_of_earlier_ones():
    stack = nodes.Stack("x", U8, (4, 84, 84))
    assert list(stack.fields()) == [
        Field("x/newest", U8, (84, 84)),
        Field("x/earlier/ends", I64, is_ends=True),
        Field("x/earlier/values", U8, (84, 84), parent="x/earlier/ends"),
    ]
    assert stack.value_bytes == 4 * 84 * 84
    assert list(stack.walk()) == [stack]


def test_nested_ragged_values_name_the_list_they_belong_to():
    node = plan_space(spaces.Sequence(spaces.Sequence(Text(3))), "x")
    assert [(field.name, field.parent) for field in node.fields()] == [
        ("x/ends", None),
        ("x/values/ends", "x/ends"),
        ("x/values/values/ends", "x/values/ends"),
        ("x/values/values/values", "x/values/values/ends"),
    ]


def test_json_text_has_the_fields_of_text_but_is_another_node():
    assert list(nodes.Json("x").fields()) == list(nodes.Text("x").fields())
    assert nodes.Json("x") != nodes.Text("x")


@every_space
def test_nodes_have_names_of_their_own(space):
    walked = [node.name for node in plan_space(space, "observations").walk()]
    assert walked[0] == "observations"
    assert len(set(walked)) == len(walked)


def test_a_tree_is_walked_parents_first_and_not_into_ragged_values():
    inner = nodes.TupleOf("x/b", (nodes.Scalar("x/b/0", I64), nodes.Text("x/b/1")))
    items = nodes.ListOf("x/c", nodes.DictOf("x/c/values", (("d", nodes.Scalar("x/c/values/d", I64)),)))
    tree = nodes.DictOf("x", (("a", nodes.Array("x/a", F32, (2,))), ("b", inner), ("c", nodes.OneOf("x/c", (items,)))))
    assert [node.name for node in tree.walk()] == ["x", "x/a", "x/b", "x/b/0", "x/b/1", "x/c"]
