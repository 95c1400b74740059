"""Schemas: no two columns of a recording meet, and each has its place."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_keys, plan_space, plan_value
from gym_h5record.format.names import TypeCode
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_to_json
from tests.format import check_fields, make_schema, names
from tests.zoo import SPACES_BY_ID, every_space, passing_infos

STEP = ("rewards", "terminations", "truncations")
INFOS = plan_keys("infos", [passing_infos(0), passing_infos(1)])
EXTRAS = plan_keys("extras", [passing_infos(0)])


# What holds for every space -----------------------------------------------------------------------


@every_space
def test_fields_of_a_space_can_live_in_one_file(space):
    check_fields(list(plan_space(space, "observations").fields()))


@every_space
def test_schema_of_a_space_is_whole(space):
    schema = make_schema(space, space, infos=INFOS, extras=EXTRAS, times=True)
    check_fields(schema.fields)
    ring, ragged = set(names(schema.ring_fields)), set(names(schema.ragged_fields))
    assert not ring & ragged
    assert ring | ragged == {*names(schema.step_fields), *names(schema.row_fields)}
    assert set(names(schema.fields)) == {*ring, *ragged, "exceptions/ends", "exceptions/values"}
    assert all(field.parent is None and not field.is_ends for field in schema.ring_fields)


@every_space
def test_every_node_has_a_type_code_of_its_own_and_the_step_comes_first(space):
    frame = plan_value("frames", np.zeros((2, 2, 3), np.uint8))
    schema = make_schema(space, space, frame=frame, infos=INFOS, extras=EXTRAS, times=True)
    coded = [node.name for node in schema.coded]
    assert schema.code_index == {name: index for index, name in enumerate(coded)}
    assert len(schema.code_index) == len(coded)
    step = coded[: schema.num_step_codes]
    assert step == [*(node.name for node in schema.action.walk()), *STEP, *(each.node.name for each in EXTRAS)]
    infos = [each.node.name for each in INFOS]
    assert coded[schema.num_step_codes :] == [*(node.name for node in schema.observation.walk()), "frames", *infos]


# Schemas ------------------------------------------------------------------------------------------


def test_outcome_of_a_step_has_columns_in_every_schema():
    fields = {field.name: field for field in make_schema().step_fields}
    assert {name: fields[name].dtype.name for name in STEP} == {
        "rewards": "float64",
        "terminations": "bool",
        "truncations": "bool",
    }


def test_infos_have_json_beside_their_columns_unless_not_recorded():
    assert names(make_schema(infos=()).row_fields)[-2:] == ["infos/json/ends", "infos/json/values"]
    assert not any(name.startswith("infos") for name in names(make_schema(infos=None).fields))


def test_extras_are_fields_of_the_step_with_json_beside_their_columns():
    assert names(make_schema(extras=()).step_fields)[-2:] == ["extras/json/ends", "extras/json/values"]
    assert names(make_schema(extras=EXTRAS).step_fields)[-4:-2] == ["extras/lives", "extras/x"]
    assert not any(name.startswith("extras") for name in names(make_schema().fields))


def test_a_row_has_a_time_without_a_type():
    schema = make_schema(times=True)
    assert schema.row_fields[-1] == Field("times", np.dtype(np.int64))
    assert schema.ring_fields[-1] == Field("times", np.dtype(np.int64))
    assert "times" not in schema.code_index
    assert "times" not in names(make_schema().fields)


def test_returns_have_the_shape_of_a_reward():
    reward = nodes.Array("rewards", np.dtype(np.float32), (2, 3))
    schema = make_schema(reward=reward)
    assert (schema.return_shape, make_schema().return_shape) == ((2, 3), ())
    assert schema.node("rewards") == reward
    assert next(field for field in schema.step_fields if field.name == "rewards").shape == (2, 3)
    returns = next(field for field in all_fields(schema) if field.name == "episodes/returns")
    assert (returns.dtype, returns.shape) == (np.float64, (2, 3))


@pytest.mark.parametrize(
    ("dtype", "rewards", "terms"),
    [
        (None, [1.5, 0.0, 2.0], [1.5, 0.0, 2.0]),
        (np.float32, [[1, 2], [0, 3], [5, 6]], [[1, 2], [0, 3], [5, 6]]),
        (np.int8, [[1, 2], [0, 3], [5, 6]], [[1, 2], [np.nan] * 2, [5, 6]]),
        (np.uint64, [[1, 2], [0, 3], [5, 6]], [[1, 2], [np.nan] * 2, [5, 6]]),
        (np.bool_, [[1, 0], [0, 0], [1, 1]], [[1, 0], [np.nan] * 2, [1, 1]]),
    ],
    ids=["number", "floats", "integers", "large", "booleans"],
)
def test_an_exception_adds_nan_to_a_total_of_integers(dtype, rewards, terms):
    schema = make_schema() if dtype is None else make_schema(reward=nodes.Array("rewards", np.dtype(dtype), (2,)))
    codes = np.full((3, len(schema.coded)), TypeCode.ARRAY)
    codes[1, schema.code_index["rewards"]] = TypeCode.EXCEPTION
    found = schema.reward_terms(np.array(rewards, schema.reward.dtype), lambda: codes)
    assert found.dtype.kind == "f"
    np.testing.assert_array_equal(found, terms)


def test_frames_have_a_column_of_their_own_only_if_they_are_stored():
    frame = plan_value("frames", np.zeros((2, 2, 3), np.uint8))
    assert "frames" in names(make_schema(frame=frame).ring_fields)
    assert "frames" not in names(make_schema(linked_frames=True).fields)


def test_equal_spaces_make_equal_schemas():
    assert make_schema(SPACES_BY_ID["Dict-of-ragged"]) == make_schema(SPACES_BY_ID["Dict-of-ragged"])
    assert make_schema(SPACES_BY_ID["Dict-of-ragged"]) != make_schema(SPACES_BY_ID["Tuple-of-ragged"])


def test_a_node_is_found_by_its_name():
    schema = make_schema(SPACES_BY_ID["Dict-of-ragged"])
    assert [schema.node(node.name) for node in schema.coded] == list(schema.coded)
    with pytest.raises(KeyError, match="no such node"):
        schema.node("no such node")


@every_space
def test_all_fields_can_live_in_one_file_and_episodes_come_last(space):
    schema = make_schema(space, infos=INFOS, extras=EXTRAS, times=True)
    fields = list(all_fields(schema))
    check_fields(fields)
    assert fields[: len(schema.fields)] == list(schema.fields)
    axes = [field.axis for field in fields if field.axis != "item"]
    assert axes == sorted(axes, key=["row", "episode"].index)
    assert next(field.shape for field in fields if field.name == "types") == (len(schema.coded),)


@pytest.mark.parametrize("name", ["Box-picture", "Tuple-nested", "Dict-odd-keys", "Text", "OneOf"])
def test_a_schema_without_sequences_and_graphs_is_read_without_gymnasium(name):
    code = """
        import sys
        from gym_h5record.format.schema_json import schema_from_json
        from gym_h5record.format.schema_json import schema_to_json
        assert schema_to_json(schema_from_json(sys.argv[1])) == sys.argv[1]
        print([name for name in sys.modules if name.startswith("gymnasium")])
    """
    text = schema_to_json(make_schema(SPACES_BY_ID[name], infos=INFOS, extras=EXTRAS, times=True))
    command = [sys.executable, "-c", textwrap.dedent(code), text]
    assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout == "[]\n"
