"""Calling a policy: its reset, and notes on what it raises."""

from __future__ import annotations

from typing import Any

import pytest

from gym_h5record.replay.evaluation.policy import begin_episode, noting


class Remembering:
    """A policy with a memory."""

    def __init__(self, error: Exception | None = None) -> None:
        self.resets = 0
        self._error = error

    def reset(self) -> None:
        self.resets += 1
        if self._error is not None:
            raise self._error

    def __call__(self, observation: Any) -> Any:
        return observation


def notes(error: BaseException, expected: list[str]) -> list[str]:
    """The notes of an error; ``expected`` on Python 3.10, which has none."""
    return getattr(error, "__notes__", expected if not hasattr(error, "add_note") else [])


def test_a_policy_with_a_memory_is_reset_before_an_episode() -> None:
    policy = Remembering()
    begin_episode(policy, 0)
    begin_episode(policy, 1)
    assert policy.resets == 2


def test_a_plain_function_is_a_policy_that_no_reset_calls() -> None:
    calls: list[Any] = []
    begin_episode(calls.append, 0)
    assert calls == []


def test_an_error_of_a_reset_names_the_episode() -> None:
    with pytest.raises(ValueError, match="forgotten") as caught:
        begin_episode(Remembering(ValueError("forgotten")), 3)
    expected = ["raised by the policy's reset before episode 3"]
    assert notes(caught.value, expected) == expected


def test_a_note_is_added_to_an_error_and_the_error_goes_on() -> None:
    with pytest.raises(KeyError) as caught, noting("in step 4"), noting("in the policy"):
        raise KeyError
    assert notes(caught.value, ["in the policy", "in step 4"]) == ["in the policy", "in step 4"]


def test_interrupts_get_no_note() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, noting("in step 4"):
        raise KeyboardInterrupt
    assert not hasattr(caught.value, "__notes__")
