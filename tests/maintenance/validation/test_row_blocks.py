"""``Rows``: blocks of columns, each item read once, and what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_h5record.maintenance.validation.problems import Findings
from gym_h5record.maintenance.validation.row_blocks import Columns, Rows
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.handle import Access, Handle
from tests.maintenance.validation import spoiling


@pytest.fixture
def subject(path: Path) -> Iterator[Target]:
    with spoiling(path) as file:
        file["observations/picture"].id.write_direct_chunk((16, 0, 0), b"no gzip at all")
    handle = Handle(path, Access.DAMAGED)
    structure = Structure(handle)
    list(structure.problems())
    assert structure.subject is not None
    yield structure.subject
    handle.close()


def test_a_column_is_read_once_per_block(subject: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(Columns(subject, set(), Findings()), 0, 8, None)
    first = rows.items("rewards")
    monkeypatch.setattr(subject.storage, "items", None)
    assert rows.items("rewards") is first


def test_rows_are_shifted_across_blocks(subject: Target) -> None:
    columns = Columns(subject, set(), Findings())
    rewards = subject.storage.items("rewards", 0, 16).tolist()
    first = Rows(columns, 0, 8, None)
    assert first.shifted("rewards").tolist() == [0.0, *rewards[:7]]  # type: ignore[union-attr]
    second = Rows(columns, 8, 16, first)
    assert second.shifted("rewards").tolist() == rewards[7:15]  # type: ignore[union-attr]


def test_the_row_before_is_unknown_if_its_block_was_not_read(subject: Target) -> None:
    columns = Columns(subject, set(), Findings())
    assert Rows(columns, 8, 16, Rows(columns, 0, 8, None)).shifted("rewards") is None


def test_chunks_that_cannot_be_read_are_found_and_the_others_are_not(subject: Target) -> None:
    findings = Findings()
    columns = Columns(subject, set(), findings)
    assert columns.read("observations/picture", 0, 16) is not None
    assert columns.read("observations/picture", 8, 34) is None
    (problem,) = findings.problems()
    assert (problem.code, problem.place) == ("chunk-unreadable", "/observations/picture row 16")
    assert "decompress" in problem.message
    assert problem.message.endswith("; likewise 15 more rows")


def test_broken_columns_are_not_touched(subject: Target) -> None:
    findings = Findings()
    columns = Columns(subject, {"rewards"}, findings)
    assert columns.read("rewards", 0, 1 << 60) is None
    assert columns.length("rewards") is None
    assert columns.length("dones") == 34
    assert findings.problems() == []
