"""The results of ``evaluate``: what they count, and which episodes are compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gym_h5record.replay.evaluation.reports import (
    Agreement,
    Confusion,
    EpisodeEvaluation,
    EvaluationReport,
    LiveEpisode,
)

WHOLE = EpisodeEvaluation(0, 4, 2.0, complete=True, live=LiveEpisode(3.5, 6, terminated=True, truncated=False))
CUT = EpisodeEvaluation(1, 9, 4.5, complete=False, live=LiveEpisode(1.0, 2, terminated=False, truncated=True))
STOPPED = EpisodeEvaluation(2, 5, 2.5, complete=True, live=LiveEpisode(1.0, 7, terminated=False, truncated=False))
UNREACHED = EpisodeEvaluation(3, 1, 0.5, complete=True, reason="no seed")


def test_a_report_counts_episodes_and_recorded_steps() -> None:
    report = EvaluationReport(Path("run.h5"), closed_loop=True, episodes=(WHOLE, CUT, UNREACHED))
    assert (report.num_episodes, report.num_steps) == (3, 14)


def test_a_report_is_ok_if_every_episode_could_be_evaluated() -> None:
    assert [each.ok for each in (WHOLE, CUT, STOPPED, UNREACHED)] == [True, True, True, False]
    assert EvaluationReport(Path("run.h5"), closed_loop=True, episodes=(WHOLE, CUT, STOPPED)).ok
    assert not EvaluationReport(Path("run.h5"), closed_loop=True, episodes=(WHOLE, UNREACHED)).ok


def test_only_returns_of_two_whole_episodes_are_compared() -> None:
    episodes = (WHOLE, CUT, STOPPED, UNREACHED)
    assert [each.difference for each in episodes] == [1.5, None, None, None]
    report = EvaluationReport(Path("run.h5"), closed_loop=True, episodes=episodes)
    assert (report.incomplete, report.unpaired) == ((1,), (1, 2, 3))


@pytest.mark.parametrize(("terminated", "truncated"), [(True, False), (False, True), (True, True), (False, False)])
def test_a_live_episode_is_complete_if_the_environment_ended_it(terminated: bool, truncated: bool) -> None:
    live = dataclasses.replace(WHOLE.live, terminated=terminated, truncated=truncated)
    assert live.complete == (terminated or truncated)


def test_the_rate_is_the_share_of_equal_actions() -> None:
    assert Agreement(num_steps=8, equal=6).rate == 0.75
    assert Agreement(num_steps=0, equal=0).rate is None


def test_scores_follow_from_the_confusion_matrix() -> None:
    first, second = Confusion((0, 5), ((3, 1), (0, 2))).scores
    assert (first.action, first.recorded, first.chosen, first.equal) == (0, 4, 3, 3)
    assert (second.action, second.recorded, second.chosen, second.equal) == (5, 2, 3, 2)
    assert (first.recall, first.precision) == (0.75, 1.0)
    assert (second.recall, second.precision) == (1.0, 2 / 3)
