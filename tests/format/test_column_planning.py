"""Planning: which columns spaces, first values and infos get."""

import numpy as np
import pytest
from gymnasium import Space, spaces
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, OneOf, Text, Tuple

from gym_h5record import limits
from gym_h5record.errors import UnsupportedSpaceError
from gym_h5record.format import nodes
from gym_h5record.format.column_planning import MISSING, contains, plan_columns, plan_infos, plan_space, plan_value
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import InfoField
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


def test_custom_space_is_refused_with_its_place():
    class Custom(Space):
        pass

    with pytest.raises(UnsupportedSpaceError, match="cannot store values of the space .* at /observations/a/0"):
        plan_space(Dict(a=Tuple((Custom(),))), "observations")


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
    return {column.key: column.node for column in plan_infos(list(infos))}


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
    planned = plan_infos([dict.fromkeys(ODD_KEYS, 1)])
    assert [column.key for column in planned] == [key for key in ODD_KEYS if type(key) is str]
    check_fields(make_schema(infos=planned).fields)


def test_no_key_takes_the_place_of_the_json():
    assert columns({"json": 1}) == {"json": nodes.Scalar("infos/json~1", I64)}
    assert plan_infos([{"json": 1}, {"json/ends": 2}]) == (
        InfoField("json", nodes.Scalar("infos/json~1", I64)),
        InfoField("json/ends", nodes.Scalar("infos/json%2Fends", I64)),
    )


@pytest.mark.parametrize("infos", [[], [{}], [{}, {}], [{"a": "text"}]], ids=repr)
def test_infos_without_numbers_get_no_columns(infos):
    assert plan_infos(infos) == ()


def test_planning_leaves_infos_alone():
    info = {"a": 1, "b": [1]}
    plan_infos([info, {"a": "x"}])
    assert info == {"a": 1, "b": [1]}


# Columns of a recording ---------------------------------------------------------------------------

PAIR = Box(-9, 9, (2,), np.float32)
PAIR_AND_CHOICE = (PAIR, Discrete(3))
FIRST = (np.zeros(2, np.float32), {"x": 1}, np.zeros((4, 5, 3), np.uint8))


def plan(first=FIRST, frames="none", step=None, spaces=PAIR_AND_CHOICE, infos=True):
    """A schema, and the messages that came with it."""
    messages = []
    return plan_columns(first, spaces, frames, step, infos=infos, warn=messages.append), messages


def test_columns_follow_the_spaces_and_the_first_info():
    schema, messages = plan()
    assert (schema.observation, schema.action) == (nodes.Array("observations", F32, (2,)), nodes.Scalar("actions", I64))
    assert schema.infos == (InfoField("x", nodes.Scalar("infos/x", I64)),)
    assert (schema.frame, schema.linked_frames, messages) == (None, False, [])


def test_infos_of_the_first_row_and_of_the_first_step_get_columns():
    schema, _ = plan(step=(1, {"y": 0.5}))
    assert [column.key for column in schema.infos] == ["x", "y"]
    assert plan(infos=False)[0].infos is None
    assert plan((FIRST[0], None, None))[0].infos == ()  # an info that is no dict


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
    schema, messages = plan((np.full(2, 99.0), {}, None), step=(np.int8(7), {}))
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
