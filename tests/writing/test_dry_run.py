"""A dry run fails where the drain would, and changes no file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.claims import Commit, LaneCommit, read_commit
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.format_checks import open_metadata
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.paths import journal_path
from gym_h5record.writing.commit import Drain
from gym_h5record.writing.dry_run import rehearse
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from tests.leftovers import (
    INTERRUPTED,
    changed_journal,
    contents,
    left_everything,
    left_open,
    left_pairs,
    snapshot,
    spoil_header,
    spoil_segments,
)
from tests.writing import Pen, make_schema, pair, recover


def rehearse_left(path: Path) -> tuple[Commit | LaneCommit, int]:
    """Rehearse the repair of an interrupted recording."""
    journal = Journal.open(journal_path(path))
    if not path.exists():
        return rehearse(journal)
    with closing(Handle(path, Access.DAMAGED)) as handle:
        storage = ColumnReader(handle)
        schema = schema_from_json(open_metadata(handle.file)["schema"])
        return rehearse(journal, schema, storage, read_commit(storage.items, None))


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    "name",
    [
        *("nothing-committed", "some-committed", "all-committed", "released", "open-committed"),
        *("appended", "twice", "everything", "pictures", "journal-without-rows"),
        *("discarded", "discarded-committed", "discarded-at-last"),
    ],
)
def test_a_journal_that_can_be_drained_passes_and_nothing_is_changed(name: str, tmp_path: Path) -> None:
    path = INTERRUPTED[name](tmp_path)
    before = contents(path.parent)
    rehearse_left(path)
    rehearse_left(path)
    assert contents(path.parent) == before
    recover(path)


def test_every_row_is_drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left_pairs(tmp_path, [3, 2], [50, 7])
    runs: list[Any] = []
    run = Drain.run

    def watched(drain: Drain, **how: Any) -> None:
        run(drain, **how)
        runs.append(drain.journal.control[Control.TAIL])

    monkeypatch.setattr(Drain, "run", watched)
    rehearse_left(path)
    assert runs == [66]
    assert Journal.open(journal_path(path)).control[Control.TAIL] < 66


def test_a_journal_all_of_whose_rows_are_discarded_passes_whatever_the_shape_of_a_reward(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(reward=np.zeros(2))) as pen:
        pen.begin(pair(0))
        pen.step(pair(1), reward=np.ones(2))
        pen.flush()
        pen.rows.discard_episode()
        path = snapshot(tmp_path / "run.h5")
    rehearse_left(path)
    recover(path)
    assert h5r.Recording(path).num_rows == 0


def test_what_the_last_commit_would_be_counts_no_discarded_episode(tmp_path: Path) -> None:
    for name, rows, episodes in (("discarded", 7, 2), ("discarded-committed", 7, 2), ("discarded-at-last", 4, 1)):
        (tmp_path / name).mkdir()
        found, is_running = rehearse_left(INTERRUPTED[name](tmp_path / name))
        assert (found.rows, found.episodes, found.discarded_episodes, found.discarded_steps) == (rows, episodes, 1, 40)
        assert not is_running


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: changed_journal(left_pairs(folder, [3], [2]), spoil_segments),
        lambda folder: changed_journal(left_everything(folder), spoil_segments),
        lambda folder: changed_journal(left_open(folder, is_committed=False), spoil_segments),
        lambda folder: spoil_header(left_pairs(folder, [3], [2]), b'["rewards", "<f8"', b'["rewards", "<i8"'),
        lambda folder: spoil_header(left_pairs(folder, [3], [2]), b'["actions", ', b'["reactio", '),
        lambda folder: spoil_header(left_pairs(folder, [], [2]), b'"codec": ["gzip"', b'"codec": ["gzap"'),
        lambda folder: spoil_header(left_pairs(folder, [], [2]), b'"schema"', b'"scheme"'),
        lambda folder: changed_journal(
            left_pairs(folder, [], [2]), lambda journal: journal.write_blob(20, b"no JSON at all")
        ),
    ],
    ids=["segments", "ragged", "open", "dtype", "column", "codec", "schema", "begin"],
)
def test_a_journal_that_cannot_be_drained_is_an_error_and_nothing_is_changed(make: Any, tmp_path: Path) -> None:
    path = make(tmp_path)
    before = contents(path.parent)
    with pytest.raises((CorruptRecordingError, ValueError)) as caught:
        rehearse_left(path)
    assert contents(path.parent) == before
    assert str(caught.value)
