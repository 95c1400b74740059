"""Which rows a repair would write once more."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gym_h5record.maintenance.validation.checksums import first_held_row
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.paths import journal_path
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import Control
from tests.leftovers import INTERRUPTED, closed, mark_torn


def held(path: Path) -> tuple[int, int]:
    """The first row that is held, and how many there are."""
    with closing(Handle(path, Access.DAMAGED)) as handle:
        structure = Structure(handle)
        assert [*structure.problems()] == []
        assert structure.subject is not None
        return first_held_row(structure.subject), structure.subject.num_rows


@pytest.mark.parametrize("name", ["some-committed", "released", "open-committed", "pictures", "everything"])
def test_it_is_the_first_row_of_the_journal(name: str, tmp_path: Path) -> None:
    path = INTERRUPTED[name](tmp_path)
    tail = Journal.open(journal_path(path)).control[Control.TAIL]
    first, rows = held(path)
    assert first == tail <= rows


@pytest.mark.parametrize("name", ["journal-reserved-beside", "journal-unfinished-beside", "flags-alone", "appended"])
def test_a_journal_without_committed_rows_holds_none(name: str, tmp_path: Path) -> None:
    first, rows = held(INTERRUPTED[name](tmp_path))
    assert first == rows > 0


def test_a_closed_recording_has_no_journal_and_neither_has_a_torn_one(tmp_path: Path) -> None:
    path = closed(tmp_path)
    assert held(path) == (7, 7)
    mark_torn(path)
    assert held(path) == (7, 7)
