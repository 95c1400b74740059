"""``RowBlock``: blocks of columns, each item read once, and what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_h5record.maintenance.validation.problems import Findings
from gym_h5record.maintenance.validation.row_blocks import RowBlock, TargetColumns
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.handle import Access, Handle
from tests.maintenance.validation import spoiling


@pytest.fixture
def target(path: Path) -> Iterator[Target]:
    with spoiling(path) as file:
        file["observations/picture"].id.write_direct_chunk((16, 0, 0), b"no gzip at all")
    handle = Handle(path, Access.DAMAGED)
    structure = Structure(handle)
    assert structure.target is not None
    yield structure.target
    handle.close()


def test_a_column_is_read_once_per_block(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = RowBlock(TargetColumns(target, set(), Findings()), 0, 8, None)
    first = rows.items("rewards")
    monkeypatch.setattr(target.storage, "items", None)
    assert rows.items("rewards") is first


def test_rows_are_shifted_across_blocks(target: Target) -> None:
    columns = TargetColumns(target, set(), Findings())
    rewards = target.storage.items("rewards", 0, 16).tolist()
    first = RowBlock(columns, 0, 8, None)
    assert first.shifted("rewards").tolist() == [0.0, *rewards[:7]]  # type: ignore[union-attr]
    second = RowBlock(columns, 8, 16, first)
    assert second.shifted("rewards").tolist() == rewards[7:15]  # type: ignore[union-attr]


def test_the_row_before_is_unknown_if_its_block_was_not_read(target: Target) -> None:
    columns = TargetColumns(target, set(), Findings())
    assert RowBlock(columns, 8, 16, RowBlock(columns, 0, 8, None)).shifted("rewards") is None


def test_chunks_that_cannot_be_read_are_found_and_the_others_are_not(target: Target) -> None:
    findings = Findings()
    columns = TargetColumns(target, set(), findings)
    assert columns.read("observations/picture", 0, 16) is not None
    assert columns.read("observations/picture", 8, 34) is None
    (problem,) = findings.problems()
    assert (problem.code, problem.place) == ("chunk-unreadable", "/observations/picture row 16")
    assert "decompress" in problem.message
    assert problem.message.endswith("; likewise 15 more rows")


def test_broken_columns_are_not_touched(target: Target) -> None:
    findings = Findings()
    columns = TargetColumns(target, {"rewards"}, findings)
    assert columns.read("rewards", 0, 1 << 60) is None
    assert columns.length("rewards") is None
    assert columns.length("dones") == 34
    assert findings.problems() == []
