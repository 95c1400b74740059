"""Signals are deferred, never lost, and handlers are restored after any error."""

import signal
import threading
import time

import pytest

from gym_h5record.writing.deferred_signals import signals_held


@pytest.fixture
def heard():
    """Numbers of the signals that have reached their handlers, in order."""
    numbers = []
    watched = (signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.signal(number, lambda number, _: numbers.append(number)) for number in watched]
    yield numbers
    for number, handler in zip(watched, before, strict=True):
        signal.signal(number, handler)


def test_a_signal_is_heard_at_the_end_of_the_block(heard):
    with signals_held():
        signal.raise_signal(signal.SIGUSR1)
        assert heard == []
    assert heard == [signal.SIGUSR1]


def test_an_interrupt_comes_out_at_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), signals_held():
        signal.raise_signal(signal.SIGINT)
        done.append("all of it")
    assert done == ["all of it"]


def test_other_signals_are_heard_although_the_handler_of_one_raises(heard):
    with pytest.raises(KeyboardInterrupt), signals_held():
        for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGUSR2):
            signal.raise_signal(number)
    assert sorted(heard) == [signal.SIGUSR1, signal.SIGUSR2]


def test_handlers_are_as_before_after_an_error_in_the_block(heard):
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    with pytest.raises(ZeroDivisionError), signals_held():
        _ = 1 / 0
    assert [signal.getsignal(number) for number in signal.valid_signals()] == before


def test_blocks_in_blocks_hold_until_the_outermost_ends(heard):
    with signals_held():
        with signals_held():
            signal.raise_signal(signal.SIGUSR1)
        assert heard == []
    assert heard == [signal.SIGUSR1]


def test_a_handler_that_could_not_be_restored_still_hears_its_signal(heard, monkeypatch):
    with signals_held():
        monkeypatch.setattr(signal, "signal", lambda *_: None)
    signal.raise_signal(signal.SIGUSR1)
    assert heard == [signal.SIGUSR1]


def test_a_signal_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        with signals_held():
            assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def test_in_another_thread_nothing_is_held(heard):
    def hold():
        with signals_held():
            is_inside.set()
            may_end.wait()

    is_inside, may_end = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    is_inside.wait()
    signal.raise_signal(signal.SIGUSR1)
    may_end.set()
    thread.join()
    assert heard == [signal.SIGUSR1]


def test_a_signal_from_outside_is_held_as_well(heard):
    with signals_held():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        time.sleep(0.01)
        assert heard == []
    assert heard == [signal.SIGUSR1]
