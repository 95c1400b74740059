"""A cached property is computed once, and holds no lock meanwhile."""

from __future__ import annotations

import threading

import pytest

from gym_h5record.cached import cached_property


class Counted:
    """Counts how often its value is computed."""

    count = 0

    @cached_property
    def value(self) -> int:
        """The number of times."""
        self.count += 1
        return self.count


class Slow:
    """Computes its value for as long as ``may_go_on`` is not set."""

    def __init__(self, may_go_on: threading.Event) -> None:
        self.may_go_on = may_go_on
        self.has_begun = threading.Event()

    @cached_property
    def value(self) -> bool:
        """Whether it may go on."""
        self.has_begun.set()
        return self.may_go_on.wait(20)


def test_a_value_is_computed_once_and_again_when_it_is_dropped() -> None:
    counted = Counted()
    assert [counted.value, counted.value] == [1, 1]
    del counted.value
    assert counted.value == 2
    assert isinstance(Counted.__dict__["value"], cached_property)


def test_an_error_is_not_kept() -> None:
    class Failing:
        attempts = 0

        @cached_property
        def value(self) -> int:
            self.attempts += 1
            if self.attempts == 1:
                raise ValueError("the first time")
            return self.attempts

    failing = Failing()
    with pytest.raises(ValueError, match="the first time"):
        _ = failing.value
    assert failing.value == 2


def test_an_object_does_not_wait_for_another_one_of_its_class() -> None:
    waiting, free = threading.Event(), threading.Event()
    free.set()
    slow = Slow(waiting)
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    assert slow.has_begun.wait(20)
    other = threading.Thread(target=lambda: Slow(free).value)
    other.start()
    other.join(20)
    assert not other.is_alive()
    waiting.set()
    thread.join()
