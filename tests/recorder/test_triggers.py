"""Schedules: when recording starts and stops, as ``RecordVideo`` counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.recorder.triggers import Schedule
from tests.properties.strategies import PROFILE


def at(*numbers):
    """A trigger for these counts, which remembers what it was asked."""

    def trigger(count):
        trigger.asked.append(count)
        return count in numbers

    trigger.asked = []
    return trigger


def run(schedule, lengths):
    """What a schedule says: per episode, the answer to reset and those to its steps."""
    return [(schedule.on_reset(), [schedule.on_step() for _ in range(length)]) for length in lengths]


def test_without_triggers_every_episode_is_recorded():
    schedule = Schedule()
    assert run(schedule, [2, 0, 3]) == [(True, [False] * 2), (True, []), (True, [False] * 3)]
    assert not schedule.watches_steps


def test_episode_trigger_is_asked_at_every_reset_early_ones_included():
    trigger = at(1, 2)
    assert [said for said, _ in run(Schedule(trigger), [5, 0, 0, 5])] == [False, True, True, False]
    assert trigger.asked == [0, 1, 2, 3]


def test_step_trigger_counts_steps_over_all_episodes():
    trigger = at(0, 3)
    assert run(Schedule(step_trigger=trigger), [2, 3]) == [(False, [True, False]), (False, [False, True, False])]
    assert trigger.asked == [0, 1, 2, 3, 4]


def test_step_trigger_alone_records_no_episode_from_its_beginning():
    assert [said for said, _ in run(Schedule(step_trigger=lambda step: True), [1, 1])] == [False, False]


def test_both_triggers_work_side_by_side():
    schedule = Schedule(at(1), at(0))
    assert schedule.watches_steps
    assert run(schedule, [2, 1]) == [(False, [True, False]), (True, [False])]


def test_counters_begin_before_zero():
    schedule = Schedule()
    assert (schedule.episode_id, schedule.step_id) == (-1, -1)
    run(schedule, [2, 3])
    assert (schedule.episode_id, schedule.step_id) == (1, 4)


@pytest.mark.parametrize(("truthy", "expected"), [(1, True), (0, False), ("yes", True), (None, False)])
def test_answers_are_bools_whatever_a_trigger_returns(truthy, expected):
    schedule = Schedule(lambda episode: truthy, lambda step: truthy)
    assert schedule.on_reset() is expected
    assert schedule.on_step() is expected


def test_error_in_a_trigger_is_not_hidden():
    def broken(count):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Schedule(broken).on_reset()
    with pytest.raises(ZeroDivisionError):
        Schedule(step_trigger=broken).on_step()


@PROFILE
@given(
    lengths=st.lists(st.integers(0, 5), max_size=8),
    episodes=st.none() | st.sets(st.integers(0, 8)),
    steps=st.none() | st.sets(st.integers(0, 40)),
)
def test_answers_are_those_of_the_plain_rule(lengths, episodes, steps):
    schedule = Schedule(
        None if episodes is None else lambda number: number in episodes,
        None if steps is None else lambda number: number in steps,
    )
    always = episodes is None and steps is None
    step = 0
    for episode, length in enumerate(lengths):
        assert schedule.on_reset() == (always or episode in (episodes or ()))
        for _ in range(length):
            assert schedule.on_step() == (step in (steps or ()))
            step += 1
