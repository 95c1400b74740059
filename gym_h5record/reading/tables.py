"""Steps as tables of pandas and Arrow."""

from __future__ import annotations

import importlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_h5record.errors import MissingDependencyError, OptionError
from gym_h5record.reading.step_leaves import LeafSource
from gym_h5record.reading.table_columns import StepTable, TableColumn, read_table

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["MAX_ELEMENTS", "Tabular"]

MAX_ELEMENTS = 64
"""Arrays with more elements are no columns of a table, unless the caller says so."""


class Tabular(ABC):
    """Steps that can be shown as a table. A subclass says which steps."""

    @property
    @abstractmethod
    def _leaf_source(self) -> LeafSource:
        """What the table is read from."""

    def to_pandas(self, *, max_elements: int = MAX_ELEMENTS) -> pandas.DataFrame:
        """The low-dimensional columns of all steps as a ``pandas.DataFrame``, one row per step.

        The columns are ``episode``, ``step`` (from 0 in each episode), ``observations``, ``actions``, ``rewards``,
        ``terminations``, ``truncations``, ``dones``, ``times``, and the keys of infos and extras that have columns:
        ``infos/lives``, ``extras/value``. The parts of Dict and Tuple spaces are named by their path, as the datasets
        in the file: ``observations/arm/pos``. An array of n numbers becomes n columns, ``actions_0`` to
        ``actions_{n-1}``; ``actions_1_2`` is an element of an array of two axes. (Where another column has that name,
        it is ``actions__0``.)

        A column has the dtype of its dataset. If values are missing, as those of an info key that a step does not have,
        they are ``pandas.NA``, and the dtype is the nullable one, such as ``Int64``. pandas has none for float16:
        such a column becomes ``Float32``, which holds the same values.

        Not in the table: frames; arrays of more than ``max_elements`` elements, or of none; values that vary in size
        (Text, Sequence, Graph, OneOf); infos and extras whose keys have no columns; and of every episode the last row,
        the observation, info and time behind the last step. ``frame.attrs["left_out"]`` says what of these the
        recording has, as a dict from names to reasons. A value that does not fit its column is missing as well, with a
        ``RecordingWarning``.

        Args:
            max_elements: Arrays with more elements are left out.

        Raises:
            MissingDependencyError: If pandas is not installed.
            OptionError: If ``max_elements`` is not a positive integer.
            CorruptRecordingError: If a column cannot be read.
        """
        pd = _library("pandas", "pandas")
        table = self._table(max_elements)
        frame: pandas.DataFrame = pd.DataFrame(dict(_flat_columns(pd, table.columns)))
        frame.attrs["left_out"] = table.left_out
        return frame

    def to_arrow(self, *, max_elements: int = MAX_ELEMENTS) -> pyarrow.Table:
        """The low-dimensional columns of all steps as a ``pyarrow.Table``, one row per step.

        The table has the columns of ``to_pandas``, but an array is one column: a list of fixed size, in it a list for
        each further axis. Types are exact. Missing values are null. What is left out is that of ``to_pandas``, and
        ``table.schema.metadata[b"left_out"]`` says it, as the text of a JSON object from names to reasons.

        Args:
            max_elements: Arrays with more elements are left out.

        Raises:
            MissingDependencyError: If pyarrow is not installed.
            OptionError: If ``max_elements`` is not a positive integer.
            CorruptRecordingError: If a column cannot be read.
        """
        pa = _library("pyarrow", "arrow")
        table = self._table(max_elements)
        found: pyarrow.Table = pa.Table.from_arrays(
            [_arrow_array(pa, column) for column in table.columns],
            names=[column.name for column in table.columns],
            metadata={"left_out": json.dumps(table.left_out)},
        )
        return found

    def _table(self, max_elements: int) -> StepTable:
        if not isinstance(max_elements, (int, np.integer)) or isinstance(max_elements, bool) or max_elements < 1:
            raise OptionError(f"max_elements is a positive integer, not {max_elements!r:.80}")
        return read_table(self._leaf_source, int(max_elements))


def _library(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f'to_{extra} needs {module}, which is not installed: pip install "gym_h5record[{extra}]"'
        ) from error


# pandas -------------------------------------------------------------------------------------------


def _flat_columns(pd: Any, columns: list[TableColumn]) -> Iterator[tuple[str, Any]]:
    """Names and values of one-dimensional columns: an array has one for each of its elements."""
    taken = {column.name for column in columns}
    for column in columns:
        shape = column.values.shape[1:]
        flat = column.values.reshape(len(column.values), math.prod(shape))
        names = _element_names(column.name, shape, taken) if shape else [column.name]
        taken.update(names)
        for position, name in enumerate(names):
            yield name, _pandas_values(pd, flat[:, position], column.missing)


def _element_names(name: str, shape: tuple[int, ...], taken: set[str]) -> list[str]:
    """Names of the elements of an array, none of which is taken."""
    mark = "_"
    while True:
        names = [mark.join([name, *map(str, index)]) for index in np.ndindex(shape)]
        if taken.isdisjoint(names):
            return names
        mark += "_"


def _pandas_values(pd: Any, values: np.ndarray, missing: np.ndarray | None) -> Any:
    if missing is None:
        return values
    if values.dtype.kind == "b":
        return pd.arrays.BooleanArray(values.copy(), missing.copy())
    if values.dtype.kind == "f":
        return pd.arrays.FloatingArray(values.astype(np.promote_types(values.dtype, np.float32)), missing.copy())
    return pd.arrays.IntegerArray(values.copy(), missing.copy())


# Arrow --------------------------------------------------------------------------------------------


def _arrow_array(pa: Any, column: TableColumn) -> Any:
    shape = column.values.shape[1:]
    if not shape:
        return pa.array(column.values, mask=column.missing)
    array = pa.array(column.values.reshape(-1))
    for size in reversed(shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    mask = None if column.missing is None else pa.array(column.missing)
    return pa.FixedSizeListArray.from_arrays(array, shape[0], mask=mask)
