"""Properties: every index of a column gives what NumPy gives for all its rows as one array, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gym_h5record as h5r
from gym_h5record.format import nodes
from gym_h5record.reading.columns import Column
from gym_h5record.reading.keyed_rows import KeyedRows
from gym_h5record.values.exact import identical
from tests.properties.strategies import PROFILE
from tests.reading import record
from tests.stacking import START, StackingEnv, record_stacks
from tests.zoo import ZooEnv

pytestmark = pytest.mark.compacted

FIRST, ROWS = 5, 11
"""The columns have 11 rows of a longer recording, in the middle of its chunks."""

SHAPE = (3, 2, 40)
BOX = spaces.Box(-9, 9, SHAPE, np.int16)
TREE = spaces.Dict(
    arm=spaces.Tuple((spaces.Box(-1, 1, (), np.float32), spaces.Discrete(5))),
    picture=BOX,
    empty=spaces.Box(0, 1, (0, 2), np.float32),
)

MANY = settings(PROFILE, max_examples=150)


@dataclass(frozen=True)
class Subject:
    """A column, and what its batches are compared with: the values of its rows, read one by one.

    Attributes:
        column: The column.
        values: The values.
        array: The values as one array; None if they are no arrays.
    """

    column: Any
    values: list[Any]
    array: np.ndarray | None


def subject_of(column: Any) -> Subject:
    """A column and its rows. A row of padding is zero in the array."""
    values = [column[row] for row in range(ROWS)]
    if not isinstance(column, Column) or column.dtype == object:
        return Subject(column, values, None)
    blank = np.zeros(column.shape[1:], column.dtype)
    rows = [np.asarray(blank if value is None else value, column.dtype) for value in values]
    return Subject(column, values, np.stack(rows))


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    """A column of each kind."""
    directory: Path = tmp_path_factory.mktemp("indexing")

    def recorded(name: str, observation: Any, action: Any, **options: Any) -> h5r.Recording:
        path = directory / f"{name}.h5"
        infos = lambda step: {"speed": step / 2, "grid": np.arange(6).reshape(2, 3) * step, "note": str(step)}  # noqa: E731
        record(path, ZooEnv(observation, action, length=99, infos=infos, **options), [24, 4])
        return h5r.Recording(path)

    arrays = recorded("arrays", BOX, spaces.MultiBinary(3), rewards=(0.5, np.float32(2), 3, True))
    trees = recorded("trees", TREE, spaces.Text(4))
    mixed = recorded("mixed", spaces.Dict(text=spaces.Text(3), number=spaces.Discrete(7)), spaces.Discrete(3))
    record_stacks(directory / "stacks.h5", (*START, *["slide"] * 9, "jump", *["slide"] * 9), StackingEnv())
    stacks = h5r.Recording(directory / "stacks.h5")

    def column(recording: h5r.Recording, get: Callable[[Any], Any], **options: Any) -> Column:
        return Column(recording.rows.rewards._decoder, get(recording.schema), FIRST, ROWS, **options)

    infos = KeyedRows(arrays.rows.rewards._decoder, "infos", FIRST, ROWS)
    columns = {
        "array": column(arrays, lambda schema: schema.observation),
        "vector": column(arrays, lambda schema: schema.action, is_open=False),
        "number": column(arrays, lambda schema: schema.reward),
        "flag": column(arrays, lambda schema: schema.node("terminations")),
        "open": column(arrays, lambda schema: schema.action, is_open=True),
        "stack": column(stacks, lambda schema: schema.observation),
        "key": infos["speed"],
        "key array": infos["grid"],
        "tree": column(trees, lambda schema: schema.observation),
        "text": column(trees, lambda schema: schema.action),
        "mixed": column(mixed, lambda schema: schema.observation),
        "key text": infos["note"],
        "infos": infos,
    }
    return {name: subject_of(each) for name, each in columns.items()}


ARRAYS = ("array", "vector", "number", "flag", "open", "stack", "key", "key array")
TREES = ("tree", "mixed")
LISTS = ("text", "key text", "infos")


def parts(subject: Subject) -> tuple[Any, list[Any], Any]:
    """The attributes of a subject."""
    return subject.column, subject.values, subject.array


# Indices ------------------------------------------------------------------------------------------

row_numbers = st.integers(-ROWS, ROWS - 1)

slices = st.slices(ROWS) | st.builds(
    slice,
    st.none() | st.integers(-99, 99),
    st.none() | st.integers(-99, 99),
    st.none() | st.integers(-13, 13).filter(bool),
)

numbers_lists = st.lists(row_numbers, max_size=9)

masks = hnp.arrays(np.bool_, ROWS)

flat_rows = st.one_of(
    slices,
    numbers_lists,
    numbers_lists.map(lambda rows: np.array(rows, np.int64)),
    st.lists(st.integers(0, ROWS - 1), max_size=9).map(lambda rows: np.array(rows, np.uint8)),
    masks,
    masks.map(np.ndarray.tolist),
    st.just(range(2, 7)),
    st.just(Ellipsis),
)

nested_rows = hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=3), elements=row_numbers)

one_row = row_numbers | row_numbers.map(np.int64) | row_numbers.map(np.array)


@st.composite
def further_axes(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """An index of the other axes: numbers, slices, Ellipsis, new axes, lists and arrays of numbers, masks."""
    basic = draw(hnp.basic_indices(shape, allow_newaxis=True, max_dims=6)) if shape else ()
    found: list[Any] = []
    lengths = iter(shape)
    for part in basic if isinstance(basic, tuple) else (basic,):
        if part is Ellipsis:
            lengths = iter(())  # how many axes it takes is not counted
        length = next(lengths, None) if isinstance(part, (int, slice)) else None
        if length is None or draw(st.integers(0, 3)):
            found.append(part)
        else:
            several = st.lists(st.integers(-length, length - 1), min_size=1, max_size=3)
            found.append(draw(several | several.map(np.array) | hnp.arrays(np.bool_, length)))
    return tuple(found)


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """Any index of an array with the axis of the rows and of each row ``shape``."""
    first = draw(flat_rows | nested_rows | one_row)
    further = draw(st.just(()) | further_axes(shape))
    return (first, *further) if further or draw(st.booleans()) else first


def outcome(take: Callable[[], Any]) -> Any:
    """What an index gives, or which error it raises."""
    try:
        return take()
    except IndexError:
        return IndexError


# Arrays -------------------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ARRAYS)
@MANY
@given(data=st.data())
def test_every_index_of_arrays_gives_what_numpy_gives(
    name: str, subjects: dict[str, Subject], data: st.DataObject
) -> None:
    column, values, array = parts(subjects[name])
    index = data.draw(indices(column.shape[1:]))
    first, *further = index if type(index) is tuple else (index,)
    is_one = isinstance(first, (int, np.integer)) or (isinstance(first, np.ndarray) and not first.ndim)
    if is_one and not further:
        assert identical(column[index], values[int(first)])
    elif is_one and values[int(first)] is None:
        with pytest.raises(TypeError, match="has no value"):
            column[index]
    else:
        found, expected = outcome(lambda: column[index]), outcome(lambda: array[index])
        assert identical(found, expected), index


@pytest.mark.parametrize("name", ARRAYS)
def test_all_rows_are_an_array_of_the_shape_and_dtype_that_the_column_has(
    name: str, subjects: dict[str, Subject]
) -> None:
    column, _, array = parts(subjects[name])
    assert (column.shape, column.dtype, column.ndim) == (array.shape, array.dtype, array.ndim)
    assert (column.size, column.nbytes) == (array.size, array.nbytes)
    assert identical(np.asarray(column), array)


# Trees and lists ----------------------------------------------------------------------------------


def leaves_of(node: nodes.Node, values: list[Any]) -> Any:
    """The values of a tree as a tree of arrays and lists."""
    if isinstance(node, nodes.DictOf):
        return {key: leaves_of(child, [each[key] for each in values]) for key, child in node.items}
    if isinstance(node, nodes.TupleOf):
        return tuple(leaves_of(child, [each[at] for each in values]) for at, child in enumerate(node.items))
    return np.stack(values) if isinstance(node, (nodes.Array, nodes.Scalar)) else values


def indexed(leaf: Any, index: Any) -> Any:
    """An index of every array and list of a tree."""
    if isinstance(leaf, dict):
        return {key: indexed(each, index) for key, each in leaf.items()}
    if isinstance(leaf, tuple):
        return tuple(indexed(each, index) for each in leaf)
    return [leaf[row] for row in np.arange(ROWS)[index]] if isinstance(leaf, list) else leaf[index]


@pytest.mark.parametrize("name", TREES)
@PROFILE
@given(index=flat_rows)
def test_rows_of_trees_are_trees_of_what_numpy_gives(name: str, subjects: dict[str, Subject], index: Any) -> None:
    column, values, _ = parts(subjects[name])
    assert identical(column[index], indexed(leaves_of(column._node, values), index))


@PROFILE
@given(index=nested_rows)
def test_row_numbers_of_several_axes_give_them_to_every_array_of_a_tree(
    subjects: dict[str, Subject], index: Any
) -> None:
    column, values, _ = parts(subjects["tree"])
    assert identical(column[index], indexed(leaves_of(column._node, values), index))
    for name in ("mixed", *LISTS):
        with pytest.raises(TypeError, match="gives a list of values"):
            subjects[name].column[index]


@pytest.mark.parametrize("name", LISTS)
@PROFILE
@given(index=flat_rows)
def test_rows_of_lists_are_those_that_numpy_gives(name: str, subjects: dict[str, Subject], index: Any) -> None:
    assert identical(subjects[name].column[index], indexed(subjects[name].values, index))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", [*TREES, *LISTS])
@PROFILE
@given(index=one_row, further=further_axes(SHAPE).filter(bool))
def test_what_is_no_array_has_no_further_axes(
    name: str, subjects: dict[str, Subject], index: Any, further: Any
) -> None:
    column, values, _ = parts(subjects[name])
    assert identical(column[index], values[int(index)])
    with pytest.raises(TypeError, match="has no further axes"):
        column[(index, *further)]


# Any index ----------------------------------------------------------------------------------------


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", [*ARRAYS, *TREES, *LISTS])
@PROFILE
@given(index=st.integers(ROWS, 99) | st.integers(-99, -ROWS - 1), others=numbers_lists)
def test_a_row_that_is_not_there_is_an_index_error(
    name: str, subjects: dict[str, Subject], index: int, others: list[int]
) -> None:
    for each in (index, [*others, index], np.array([index, *others]), (index,)):
        with pytest.raises(IndexError, match=f"index {index} is out of range for a .* of {ROWS} rows"):
            subjects[name].column[each]


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", [*ARRAYS, *TREES, *LISTS])
@PROFILE
@given(mask=hnp.arrays(np.bool_, st.integers(0, 30).filter(lambda size: size != ROWS)))
def test_a_mask_of_another_length_is_refused_with_both_lengths(
    name: str, subjects: dict[str, Subject], mask: np.ndarray
) -> None:
    with pytest.raises(IndexError, match=rf"a mask of {len(mask)} does not fit a .* of {ROWS} rows"):
        subjects[name].column[mask]


@pytest.mark.parametrize("name", [*ARRAYS, *TREES, *LISTS])
def test_iteration_gives_the_values_of_the_rows(name: str, subjects: dict[str, Subject]) -> None:
    assert identical([*subjects[name].column], subjects[name].values)
