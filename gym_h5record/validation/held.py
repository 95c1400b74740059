"""Which committed rows the journal beside a file still has: a repair writes them once more, whatever they are now."""

from __future__ import annotations

from gym_h5record.errors import RecordingError
from gym_h5record.journal import Control, Journal, is_unfinished, journal_path
from gym_h5record.state import has_journal
from gym_h5record.validation.subject import Subject
from gym_h5record.writer import DRAIN_ERRORS, check_belongs, is_outlived

__all__ = ["first_held_row"]


def first_held_row(subject: Subject) -> int:
    """The first row that the journal of an interrupted recording still has, ``num_rows`` if it has none.

    Args:
        subject: The recording. Its journal may be anything.
    """
    path = subject.handle.path
    if subject.is_settled or not has_journal(path):
        return subject.num_rows
    try:
        if is_unfinished(journal_path(path)):
            return subject.num_rows
        journal = Journal.open(journal_path(path))
        if not journal.is_laid_out or is_outlived(journal):
            return subject.num_rows
        journal.check_positions()
        journal_id = str(subject.handle.metadata().get("journal_id"))
        continues = check_belongs(path, journal, journal_id, subject.num_rows)
    except (RecordingError, OSError, *DRAIN_ERRORS):  # there is nothing in it that a repair could bring in
        return subject.num_rows
    return min(journal.control[Control.TAIL], subject.num_rows) if continues else subject.num_rows
