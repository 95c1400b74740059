"""The sample of rows: uniform, the same every time, and mergeable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.training.row_sample import RowSample, row_keys, sample_rows

FLOAT = np.dtype(np.float64)


def sample_of(rows: np.ndarray, max_rows: int, file: str = "a") -> RowSample:
    """A sample of rows whose values are their numbers."""
    sample = RowSample(FLOAT, (), max_rows)
    sample.add(row_keys(file, rows), rows.astype(np.float64))
    return sample


@pytest.mark.parametrize(
    ("item_bytes", "rows"), [(1, 65536), (64, 65536), (28224, 148), (5 << 20, 1)], ids=["byte", "row", "stack", "large"]
)
def test_a_sample_has_bounded_size(item_bytes: int, rows: int) -> None:
    assert sample_rows(item_bytes) == rows


def test_a_sample_of_few_rows_is_whole_and_exact() -> None:
    sample = sample_of(np.arange(50), 50)
    assert sample.is_whole
    assert sample.quantile_error == 0.0
    assert sorted(sample.values.tolist()) == list(range(50))


def test_a_sample_of_many_rows_has_as_many_as_it_may_and_says_its_error() -> None:
    sample = sample_of(np.arange(5000), 200)
    assert len(set(sample.values.tolist())) == 200
    assert not sample.is_whole
    assert sample.num_seen == 5000
    assert sample.quantile_error == pytest.approx(np.sqrt(np.log(40) / 400))


@given(st.integers(0, 400), st.lists(st.integers(0, 400), max_size=6), st.integers(1, 50), st.randoms())
def test_parts_merged_in_any_order_are_the_sample_of_the_whole(
    count: int, cuts: list[int], max_rows: int, random: object
) -> None:
    rows = np.arange(count)
    parts = [sample_of(part, max_rows) for part in np.split(rows, sorted(cuts))]
    random.shuffle(parts)  # type: ignore[attr-defined]
    merged = RowSample(FLOAT, (), max_rows)
    for part in parts:
        merged = merged.merged(part)
    whole = sample_of(rows, max_rows)
    assert merged.values.tolist() == whole.values.tolist()
    assert (merged.num_seen, merged.is_whole) == (whole.num_seen, whole.is_whole)


def test_a_merge_changes_neither_sample() -> None:
    first, second = sample_of(np.arange(10), 5), sample_of(np.arange(10, 30), 5)
    before = first.values.tolist(), second.values.tolist()
    first.merged(second)
    assert (first.values.tolist(), second.values.tolist(), first.num_seen) == (*before, 10)


def test_every_row_is_as_likely() -> None:
    """Of 100 rows 10 are chosen, for 4,000 files: the chi-square statistic is below its 0.1% point."""
    counts = np.zeros(100)
    for number in range(4000):
        counts[sample_of(np.arange(100), 10, str(number)).values.astype(int)] += 1
    statistic = ((counts - 400) ** 2 / (400 * 0.9)).sum() * 99 / 100
    assert statistic < 148.2


def test_keys_depend_on_the_file_and_the_row_only() -> None:
    rows = np.array([0, 5, 2**40])
    assert np.array_equal(row_keys("a", rows)[::-1], row_keys("a", rows[::-1]))
    assert not (row_keys("a", rows) == row_keys("b", rows)).any()
    assert row_keys("a", np.array([0, 5])).tolist() == [10600591454142951214, 1735102679546141042]


@pytest.mark.parametrize(("item_bytes", "error"), [(8, 0.0053), (4 * 84 * 84, 0.112)], ids=["number", "stack"])
def test_the_errors_that_the_documentation_names(item_bytes: int, error: float) -> None:
    sample = RowSample(np.dtype(np.uint8), (item_bytes,))
    for start in range(0, 70_000, 100):
        keys = np.arange(start, start + 100, dtype=np.uint64)
        sample.add(keys, np.broadcast_to(np.uint8(0), (100, item_bytes)))
    assert sample.quantile_error == pytest.approx(error, rel=0.01)


def test_a_sample_of_one_row_may_be_any_row() -> None:
    assert sample_of(np.arange(5), 1).quantile_error == 1.0
