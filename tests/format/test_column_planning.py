"""Planning: which columns spaces, first values and infos get."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, OneOf, Text, Tuple

from gym_h5record import limits
from gym_h5record.errors import UnsupportedSpaceError
from gym_h5record.format import nodes
from gym_h5record.format.column_planning import MISSING, contains, plan_columns, plan_keys, plan_space, plan_value
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import NUMBER_REWARD, KeyColumn
from gym_h5record.values.custom_spaces import OpaqueSpace
from gym_h5record.values.space_json import opaque_form
from tests.custom_spaces import Anything, Grid, Unicode, grids_registered
from tests.format import check_fields, make_schema, names
from tests.zoo import DTYPES, ODD_KEYS, ForeignArray, every_space, samples

F32 = np.dtype(np.float32)
I64 = np.dtype(np.int64)
U8 = np.dtype(np.uint8)

# From spaces to nodes -----------------------------------------------------------------------------

PLANNED = {
    "Box": (Box(0, 1, (2, 3), np.float32), nodes.Array("x", F32, (2, 3))),
    "Box-rank0": (Box(0, 1, (), np.float32), nodes.Array("x", F32, ())),
    "Box-longdouble": (Box(0, 1, (2,), np.longdouble), nodes.Opaque("x")),
    "Discrete": (Discrete(3), nodes.Scalar("x", I64)),
    "Discrete-uint8": (Discrete(3, dtype=np.uint8), nodes.Scalar("x", U8)),
    "MultiDiscrete": (MultiDiscrete([[2, 3]]), nodes.Array("x", I64, (1, 2))),
    "MultiBinary": (MultiBinary([2, 2]), nodes.Array("x", np.dtype(np.int8), (2, 2))),
    "Text": (Text(5), nodes.Text("x")),
    "Dict": (
        Dict([("b/c", Discrete(2)), (1, Text(2)), ("1", Discrete(2))]),
        nodes.DictOf(
            "x", (("b/c", nodes.Scalar("x/b%2Fc", I64)), (1, nodes.Text("x/1")), ("1", nodes.Scalar("x/1~1", I64)))
        ),
    ),
    "Tuple": (
        Tuple((Discrete(2), Tuple((Text(2),)))),
        nodes.TupleOf("x", (nodes.Scalar("x/0", I64), nodes.TupleOf("x/1", (nodes.Text("x/1/0"),)))),
    ),
    "OneOf": (
        OneOf([Discrete(2), Text(2)]),
        nodes.OneOf(
            "x", (nodes.ListOf("x/0", nodes.Scalar("x/0/values", I64)), nodes.ListOf("x/1", nodes.Text("x/1/values")))
        ),
    ),
}


@pytest.mark.parametrize(("space", "node"), PLANNED.values(), ids=list(PLANNED))
def test_space_gets_the_nodes_that_the_format_says(space, node):
    assert plan_space(space, "x") == node


def test_sequence_gets_items_and_ends():
    space = spaces.Sequence(Box(0, 1, (2,), np.float32), stack=True)
    node = plan_space(space, "x")
    assert node == nodes.Sequence("x", nodes.ListOf("x", nodes.Array("x/values", F32, (2,))), space)
    assert list(node.fields()) == [Field("x/ends", I64, is_ends=True), Field("x/values", F32, (2,), parent="x/ends")]


def test_graph_gets_nodes_edges_links_and_which_of_them_are_there():
    node = plan_space(Graph(Box(0, 1, (2,), np.float32), Discrete(3)), "x")
    assert names(node.fields()) == [
        *("x/parts", "x/nodes/ends", "x/nodes/values"),
        *("x/edges/ends", "x/edges/values", "x/edge_links/ends", "x/edge_links/values"),
    ]
    assert plan_space(Graph(Discrete(2), None), "x").edges is None


@every_space
def test_planning_takes_no_space_but_the_one_that_a_file_gives_back(space):
    assert plan_space(opaque_form(space), "x") == plan_space(space, "x")


# Custom spaces ------------------------------------------------------------------------------------

JSON = nodes.Json("x")

ANYTHING_PLANNED = {
    "missing": (MISSING, JSON),
    "text": ("go", nodes.Text("x")),
    "text-of-numpy": (np.str_("go"), JSON),
    "number": (5, nodes.Scalar("x", I64)),
    "boolean": (True, nodes.Scalar("x", np.dtype(np.bool_))),
    "scalar": (np.float32(1), nodes.Scalar("x", F32)),
    "array": (np.zeros((2, 3), np.float32), nodes.Array("x", F32, (2, 3))),
    "foreign-array": (ForeignArray(np.zeros(2, np.float32)), nodes.Array("x", F32, (2,))),
    "array-of-objects": (np.array([None]), JSON),
    "array-of-complex": (np.array([1j]), JSON),
    "nothing": (None, JSON),
    "bytes": (b"go", JSON),
    "list": ([1, 2], JSON),
    "set": ({1}, JSON),
    "object": (object(), JSON),
    "dict-empty": ({}, JSON),
    "dict-of-lists": ({"a": [1], "b": []}, JSON),
    "dict-of-dicts": ({"12": {"x": 1}, "15": {"x": 2}}, JSON),
    "dict-with-other-keys": ({"a": 1, 2: "b"}, JSON),
    "dict-with-a-long-key": ({"a" * 65: 1}, JSON),
    "dict-with-many-keys": (dict.fromkeys(map(str, range(65)), 1), JSON),
    "dict-with-many-values-below": ({"n": 0, **{str(k): (1, 2, 3, 4) for k in range(20)}}, JSON),
    "dict": (
        {"a": 1, "b/c": "go", "d": [1], "e": {"f": np.zeros(2, np.float32)}},
        nodes.DictOf(
            "x",
            (
                ("a", nodes.Scalar("x/a", I64)),
                ("b/c", nodes.Text("x/b%2Fc")),
                ("d", nodes.Json("x/d")),
                ("e", nodes.DictOf("x/e", (("f", nodes.Array("x/e/f", F32, (2,))),))),
            ),
        ),
    ),
    "tuple": (("go", 1, None), nodes.TupleOf("x", (nodes.Text("x/0"), nodes.Scalar("x/1", I64), nodes.Json("x/2")))),
    "tuple-empty": ((), JSON),
    "tuple-of-lists": (([1],), JSON),
}


@pytest.mark.parametrize(("value", "node"), ANYTHING_PLANNED.values(), ids=list(ANYTHING_PLANNED))
def test_columns_of_a_custom_space_follow_the_value(value, node):
    assert plan_space(Anything(), "x", value) == node
    check_fields(list(node.fields()))


def test_a_tree_of_a_custom_space_ends_in_json_before_it_is_too_deep():
    value = "leaf"
    for _level in range(50):
        value = {"n": 1, "below": value}
    walked = [node.name for node in plan_space(Anything(), "x", value).walk()]
    assert max(name.count("/") for name in walked) == 8
    assert type(plan_space(Anything(), "/".join("x" * 9), value)) is nodes.Json


def test_a_custom_space_inside_a_ragged_one_has_json_text():
    inside = nodes.Json("x/values")
    assert plan_space(spaces.Sequence(Unicode()), "x", ("a",)).items == nodes.ListOf("x", inside)
    assert plan_space(OneOf([Unicode()]), "x", (np.int64(0), "a")).branches == (
        nodes.ListOf("x/0", nodes.Json("x/0/values")),
    )
    graph = plan_space(Graph(Unicode(), Unicode()), "x")
    assert graph.nodes.item == nodes.Json("x/nodes/values")
    assert graph.edges.item == nodes.Json("x/edges/values")


def test_the_space_in_a_node_is_the_one_that_a_reader_has():
    node = plan_space(spaces.Sequence(Unicode(), stack=True), "x")
    assert type(node.space.feature_space) is OpaqueSpace


def test_columns_of_a_registered_class_follow_the_value_too():
    with grids_registered():
        assert plan_space(Grid(3), "x") == JSON
        assert plan_space(Grid(3), "x", np.zeros((3, 3), np.uint8)) == nodes.Array("x", U8, (3, 3))
        assert plan_space(spaces.Sequence(Grid(3)), "x").items.item == nodes.Json("x/values")
    assert plan_space(Grid(3), "x") == nodes.Array("x", U8, (3, 3))


@every_space
def test_samples_do_not_change_the_plan(space):
    if not isinstance(space, Box) or space.shape:  # Gymnasium samples a Box of rank 0 as a scalar
        assert all(plan_space(space, "x", value) == plan_space(space, "x") for value in samples(space, 5))


# From values to nodes -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_value_of_any_dtype_gets_a_column_of_it(dtype):
    assert plan_value("x", np.zeros((2, 3), dtype)) == nodes.Array("x", np.dtype(dtype), (2, 3))
    assert plan_value("x", np.zeros((), dtype)) == nodes.Array("x", np.dtype(dtype), ())
    assert plan_value("x", dtype(1)) == nodes.Scalar("x", np.dtype(dtype))


@pytest.mark.parametrize(
    ("value", "dtype"), [(True, np.bool_), (5, np.int64), (2**70, np.int64), (0.5, np.float64)], ids=repr
)
def test_python_number_gets_a_column_that_holds_its_kind(value, dtype):
    assert plan_value("x", value) == nodes.Scalar("x", np.dtype(dtype))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        b"bytes",
        [1, 2],
        (1,),
        {"a": 1},
        1j,
        np.complex64(1),
        np.longdouble(1),
        np.str_("a"),
        np.datetime64("2020"),
        np.array(["a"]),
        np.array([None]),
        np.array([1j]),
        np.zeros(2, np.longdouble),
        np.zeros(2, [("a", "i4")]),
        np.ma.masked_array(["a"]),
        np.float32,
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_everything_else_gets_no_column(value):
    assert plan_value("x", value) == nodes.Opaque("x")


@pytest.mark.parametrize(
    "value",
    [ForeignArray(np.zeros((2, 1), np.int16)), np.zeros((2, 1), np.int16).view(np.memmap)],
    ids=["foreign", "memmap"],
)
def test_array_of_another_library_gets_the_column_of_numpys(value):
    assert plan_value("x", value) == nodes.Array("x", np.dtype(np.int16), (2, 1))


@pytest.mark.parametrize(
    ("space", "value", "node"),
    [
        (Box(0, 1, (2,), np.float32), np.zeros(2), nodes.Array("x", np.dtype(np.float64), (2,))),
        (Box(0, 1, (2,), np.float32), np.zeros((3, 1), np.int8), nodes.Array("x", np.dtype(np.int8), (3, 1))),
        (Box(0, 1, (), np.float32), np.float32(1), nodes.Scalar("x", F32)),
        (Box(0, 1, (2,), np.float32), [0.0, 1.0], nodes.Opaque("x")),
        (Discrete(3), 2, nodes.Scalar("x", I64)),
        (Discrete(3), np.int8(2), nodes.Scalar("x", I64)),
        (Discrete(3), np.array(2), nodes.Array("x", I64, ())),
        (Discrete(3), "two", nodes.Opaque("x")),
        (Dict(a=Discrete(2)), np.zeros(2), nodes.Array("x", np.dtype(np.float64), (2,))),
        (
            Dict(a=Box(0, 1, (2,), np.float32)),
            {"a": np.zeros(2)},
            nodes.DictOf("x", (("a", nodes.Array("x/a", np.dtype("f8"), (2,))),)),
        ),
        (Dict(a=Discrete(2)), {"b": 1}, nodes.DictOf("x", (("a", nodes.Scalar("x/a", I64)),))),
        (Tuple((Discrete(2),)), (np.zeros(1, bool),), nodes.TupleOf("x", (nodes.Array("x/0", np.dtype(bool), (1,)),))),
        (Tuple((Discrete(2),)), (1, 2), nodes.TupleOf("x", (nodes.Scalar("x/0", I64),))),
        (Tuple((Discrete(2),)), 1.5, nodes.Scalar("x", np.dtype(np.float64))),
        (Text(3), 5, nodes.Text("x")),
    ],
    ids=range(15),
)
def test_first_value_is_followed_where_it_is_not_what_the_space_declares(space, value, node):
    assert plan_space(space, "x", value) == node


def test_missing_value_shows_itself():
    assert repr(MISSING) == "MISSING"


# Infos --------------------------------------------------------------------------------------------


def columns(*infos):
    """Planned columns of infos, by key."""
    return {column.key: column.node for column in plan_keys("infos", list(infos))}


def test_numbers_and_arrays_get_columns_everything_else_does_not():
    found = columns({"i": 1, "f": 0.5, "a": np.zeros(2, np.int8), "s": "text", "n": None, "d": {}, 5: 1, ("t",): 2})
    assert found == {
        "i": nodes.Scalar("infos/i", I64),
        "f": nodes.Scalar("infos/f", np.dtype(np.float64)),
        "a": nodes.Array("infos/a", np.dtype(np.int8), (2,)),
    }


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [
        (1, 0.5, np.float64),
        (True, 1, np.int64),
        (np.int8(1), np.int16(1), np.int16),
        (np.float32(1), np.float64(1), np.float64),
        (np.uint8(1), np.int8(1), np.int16),
        (np.float16(1), np.float16(2), np.float16),
    ],
    ids=repr,
)
def test_wider_type_wins_whatever_the_order(first, second, dtype):
    assert (
        columns({"x": first}, {"x": second})
        == columns({"x": second}, {"x": first})
        == {"x": nodes.Scalar("infos/x", np.dtype(dtype))}
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, "one"),
        (1, None),
        (1, np.array(1)),
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.zeros(2), [0.0, 0.0]),
    ],
    ids=range(6),
)
def test_key_of_values_that_no_column_holds_gets_none(first, second):
    assert columns({"x": first}, {"x": second}, {"x": first}) == {}
    assert columns({"x": second}, {"x": first}, {"x": first}) == {}


def test_keys_of_later_infos_get_columns_too():
    assert list(columns({"a": 1}, {"b": 2}, {"a": 3, "c": 4})) == ["a", "b", "c"]


def test_odd_keys_get_names_of_their_own():
    planned = plan_keys("infos", [dict.fromkeys(ODD_KEYS, 1)])
    assert [column.key for column in planned] == [key for key in ODD_KEYS if type(key) is str]
    check_fields(make_schema(infos=planned).fields)


def test_no_key_takes_the_place_of_the_json():
    assert columns({"json": 1}) == {"json": nodes.Scalar("infos/json~1", I64)}
    assert plan_keys("infos", [{"json": 1}, {"json/ends": 2}]) == (
        KeyColumn("json", nodes.Scalar("infos/json~1", I64)),
        KeyColumn("json/ends", nodes.Scalar("infos/json%2Fends", I64)),
    )


def test_extras_are_planned_as_infos_are_in_a_group_of_their_own():
    assert plan_keys("extras", [{"json": 1, "a/b": np.zeros(2), "prompt": "text"}]) == (
        KeyColumn("json", nodes.Scalar("extras/json~1", I64)),
        KeyColumn("a/b", nodes.Array("extras/a%2Fb", np.dtype(np.float64), (2,))),
    )


@pytest.mark.parametrize("infos", [[], [{}], [{}, {}], [{"a": "text"}]], ids=repr)
def test_infos_without_numbers_get_no_columns(infos):
    assert plan_keys("infos", infos) == ()


def test_planning_leaves_infos_alone():
    info = {"a": 1, "b": [1]}
    plan_keys("infos", [info, {"a": "x"}])
    assert info == {"a": 1, "b": [1]}


# Columns of a recording ---------------------------------------------------------------------------

PAIR = Box(-9, 9, (2,), np.float32)
PAIR_AND_CHOICE = (PAIR, Discrete(3))
FIRST = (np.zeros(2, np.float32), {"x": 1}, np.zeros((4, 5, 3), np.uint8))


def plan(first=FIRST, frames="none", step=None, spaces=PAIR_AND_CHOICE, infos=True, times=True):
    """A schema, and the messages that came with it."""
    messages = []
    return plan_columns(first, spaces, frames, step, infos=infos, times=times, warn=messages.append), messages


def test_columns_follow_the_spaces_and_the_first_info():
    schema, messages = plan()
    assert (schema.observation, schema.action) == (nodes.Array("observations", F32, (2,)), nodes.Scalar("actions", I64))
    assert schema.infos == (KeyColumn("x", nodes.Scalar("infos/x", I64)),)
    assert (schema.frame, schema.linked_frames, messages) == (None, False, [])


def test_infos_of_the_first_row_and_of_the_first_step_get_columns():
    schema, _ = plan(step=(1, {}, MISSING, 0.0, {"y": 0.5}))
    assert [column.key for column in schema.infos] == ["x", "y"]
    assert plan(infos=False)[0].infos is None
    assert plan((FIRST[0], None, None))[0].infos == ()  # an info that is no dict


def test_extras_of_the_first_step_get_columns():
    schema, _ = plan(step=(1, {"log_prob": -0.5, "prompt": "go"}, MISSING, 0.0, {"log_prob": 1}))
    assert schema.extras == (KeyColumn("log_prob", nodes.Scalar("extras/log_prob", np.dtype(np.float64))),)
    assert plan(step=(1, {}, MISSING, 0.0, {}))[0].extras == ()
    assert plan()[0].extras == ()  # no step was taken


def test_times_are_a_column_unless_they_are_not_recorded():
    assert "times" in names(plan()[0].ring_fields)
    assert "times" not in names(plan(times=False)[0].fields)


@pytest.mark.parametrize(
    ("reward", "node"),
    [
        (np.zeros(2, np.float32), nodes.Array("rewards", F32, (2,))),
        (np.zeros((2, 3), np.int16), nodes.Array("rewards", np.dtype(np.int16), (2, 3))),
        *((each, NUMBER_REWARD) for each in (1.5, 1, True, np.float32(1), None, "text", [1.0, 2.0])),
        (np.zeros(()), NUMBER_REWARD),
        (np.zeros((0, 3)), NUMBER_REWARD),
        (np.array(["a"]), NUMBER_REWARD),
        (ForeignArray(np.zeros(2)), nodes.Array("rewards", np.dtype(np.float64), (2,))),
    ],
    ids=range(13),
)
def test_an_array_of_rewards_gets_a_column_of_its_shape_all_else_a_number(reward, node):
    schema, _ = plan(step=(1, {}, MISSING, reward, {}))
    assert schema.reward == node
    assert plan()[0].reward == NUMBER_REWARD  # no step was taken


@pytest.mark.parametrize(
    ("frames", "frame", "is_linked"),
    [("render", nodes.Array("frames", U8, (4, 5, 3)), False), ("observation", None, True), ("none", None, False)],
)
def test_frames_are_stored_linked_or_left_out(frames, frame, is_linked):
    schema, _ = plan(frames=frames)
    assert (schema.frame, schema.linked_frames) == (frame, is_linked)


def test_a_tree_of_observations_cannot_be_linked_as_frames():
    schema, _ = plan(({"a": 1}, {}, None), "observation", spaces=(Dict(a=Discrete(2)), Discrete(3)))
    assert not schema.linked_frames


def test_first_values_outside_of_their_spaces_are_told_and_followed():
    schema, messages = plan((np.full(2, 99.0), {}, None), step=(np.int8(7), {}, MISSING, 0.0, {}))
    assert schema.observation == nodes.Array("observations", np.dtype(np.float64), (2,))
    assert [message.partition(" is not in")[0] for message in messages] == ["the first observation", "the first action"]


def test_an_item_too_large_for_a_reader_is_refused_with_its_name(monkeypatch):
    monkeypatch.setattr("gym_h5record.format.column_planning.MAX_ITEM_BYTES", 59)
    with pytest.raises(UnsupportedSpaceError, match="/frames would have items of 60 bytes; up to 59"):
        plan(frames="render")
    assert limits.MAX_ITEM_BYTES > 59


def test_a_space_that_raises_is_taken_to_contain_its_value():
    class Raising(Discrete):
        def contains(self, x):
            raise RuntimeError(x)

    assert contains(Raising(2), 5)
    assert contains(Discrete(2), 1)
    assert not contains(Discrete(2), 5)
