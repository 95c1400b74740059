"""The results of ``verify``: what they count, and when they are ``ok``."""

from __future__ import annotations

from pathlib import Path

import pytest

from gym_h5record.replay.reports import Divergence, EpisodeReport, Verdict, VerifyReport, unproven_reason

DIVERGENCE = Divergence(1, 5, "rewards", 0.5, 1.0, 0.5, "rewards: 0.5 recorded, 1.0 found")


def report(*verdicts: Verdict) -> VerifyReport:
    """A report with an episode of ten steps for each verdict."""
    return VerifyReport(Path("run.h5"), tuple(EpisodeReport(at, each, 10) for at, each in enumerate(verdicts)))


@pytest.mark.parametrize("verdict", Verdict)
def test_only_exact_and_close_episodes_are_ok(verdict: Verdict) -> None:
    expected = verdict in (Verdict.EXACT, Verdict.CLOSE)
    assert EpisodeReport(0, verdict).ok == expected
    assert report(Verdict.EXACT, verdict).ok == expected


def test_a_report_counts_episodes_and_steps() -> None:
    found = report(Verdict.EXACT, Verdict.DIVERGED, Verdict.EXACT)
    assert (found.num_episodes, found.num_steps) == (3, 30)
    assert [found.count(verdict) for verdict in (Verdict.EXACT, Verdict.DIVERGED, Verdict.UNPROVEN)] == [2, 1, 0]


def test_the_first_divergence_is_that_of_the_first_diverged_episode() -> None:
    other = Divergence(2, 0, "infos", {}, {"a": 1}, None, "infos/a: nothing recorded, 1 found")
    episodes = (
        EpisodeReport(0, Verdict.NOT_REPLAYABLE, reason="no seed"),
        EpisodeReport(1, Verdict.DIVERGED, divergence=DIVERGENCE),
        EpisodeReport(2, Verdict.DIVERGED, divergence=other),
    )
    assert VerifyReport(Path("run.h5"), episodes).first_divergence is DIVERGENCE
    assert VerifyReport(Path("run.h5"), episodes[:1]).first_divergence is None


def test_a_divergence_is_told_with_its_episode_and_step() -> None:
    assert str(DIVERGENCE) == "episode 1, step 5, rewards: 0.5 recorded, 1.0 found"


def test_a_report_on_no_episodes_is_ok() -> None:
    assert (report().ok, report().num_episodes, report().num_steps, report().first_divergence) == (True, 0, 0, None)


def test_at_most_three_places_of_text_are_named() -> None:
    assert unproven_reason(["infos/a"]).startswith("the file has only text of infos/a, which is equal")
    assert "only text of a, b, c, ..., which" in unproven_reason(["a", "b", "c", "d"])
