"""The life of a recording: from new to closed, and never back once closing has begun."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gym_h5record.errors import RecordingClosedError
from gym_h5record.writing.life import RecordingLife


def say(life: RecordingLife) -> tuple[bool, bool, bool]:
    """Whether it is open, closing and closed."""
    return life.is_open, life.is_closing, life.is_closed


@pytest.fixture
def life() -> RecordingLife:
    return RecordingLife(Path("run.h5"))


def test_a_recording_is_opened_closing_and_closed(life: RecordingLife) -> None:
    assert say(life) == (False, False, False)
    life.begin()
    assert say(life) == (True, False, False)
    life.begin_closing()
    life.begin_closing()  # another thread, or the next call after an interrupt
    assert say(life) == (False, True, False)
    life.end()
    assert say(life) == (False, True, True)


def test_one_that_was_never_opened_is_closed_at_once(life: RecordingLife) -> None:
    life.begin_closing()
    assert say(life) == (False, True, True)


def test_an_opening_that_failed_is_taken_back(life: RecordingLife) -> None:
    life.begin()
    life.take_back()
    assert say(life) == (False, False, False)


def test_what_is_closing_does_not_open_again(life: RecordingLife) -> None:
    life.begin()
    life.begin_closing()
    life.take_back()
    assert say(life) == (False, True, False)
    for call in (life.begin, life.check_not_closing, life.kept_open().__enter__):
        with pytest.raises(RecordingClosedError, match=r"run\.h5 has been closed: nothing is recorded any more"):
            call()


def test_closing_waits_for_another_thread_that_keeps_it_open(life: RecordingLife) -> None:
    life.begin()
    thread = threading.Thread(target=life.begin_closing)
    with life.kept_open():
        thread.start()
        thread.join(0.05)
        assert say(life) == (True, False, False)
    thread.join()
    assert say(life) == (False, True, False)


def test_a_forked_child_ends_although_a_thread_of_its_parent_kept_it_open(life: RecordingLife) -> None:
    life.begin()
    is_kept, may_end = threading.Event(), threading.Event()

    def keep() -> None:
        with life.kept_open():
            is_kept.set()
            may_end.wait()

    thread = threading.Thread(target=keep)
    thread.start()
    is_kept.wait()
    life.end_in_child()
    life.begin_closing()  # waits for no lock
    assert say(life) == (False, True, True)
    may_end.set()
    thread.join()
