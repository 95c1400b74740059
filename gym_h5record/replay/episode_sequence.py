"""Runs episodes one after the other in one environment and compares each with its recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gym_h5record.errors import NotReplayableError, SnapshotError
from gym_h5record.reading.episodes import Episode
from gym_h5record.replay.episode_check import RAISED, Checked, check_episode
from gym_h5record.replay.outcome_comparison import ComparisonRules, error_text
from gym_h5record.replay.reports import EpisodeReport, Verdict
from gym_h5record.replay.rerun import Rerun

__all__ = ["check_sequence", "not_replayable"]

_MAX_PLACES = 3


def check_sequence(
    rerun: Rerun, episodes: Sequence[Episode], wanted: Iterable[int], rules: ComparisonRules
) -> Iterator[EpisodeReport]:
    """Run episodes; each begins where the one before it ended. A divergence does not stop the sequence.

    The reports are those of the wanted numbers, in the order of the episodes.
    """
    left = set(wanted)
    try:
        for position, episode in enumerate(episodes):
            checked = check_episode(rerun, episode, rules, restore=not position)
            if episode.number in left:
                left.remove(episode.number)
                yield _report(episode.number, checked, rules, is_alone=not position)
            if not left:
                return
            if checked.divergence is not None and checked.divergence.leaf in RAISED:
                raise _refused(episode, checked.divergence.found)
            _finish(rerun, episode, checked.num_steps)
    except (NotReplayableError, SnapshotError) as error:
        yield from not_replayable(sorted(left), str(error))


def not_replayable(numbers: Iterable[int], reason: str) -> Iterator[EpisodeReport]:
    """Reports on episodes that cannot be run, all for the same reason."""
    return (EpisodeReport(number, Verdict.NOT_REPLAYABLE, reason=reason) for number in numbers)


def _report(number: int, checked: Checked, rules: ComparisonRules, *, is_alone: bool) -> EpisodeReport:
    num_steps, divergence, texts = checked
    if divergence is not None:
        return EpisodeReport(number, Verdict.DIVERGED, num_steps, is_alone, divergence=divergence)
    if texts:
        places = ", ".join(texts[:_MAX_PLACES]) + (", ..." if len(texts) > _MAX_PLACES else "")
        reason = f"the file has only text of {places}, which is equal; with ignore= the rest of infos can be proven"
        return EpisodeReport(number, Verdict.UNPROVEN, num_steps, is_alone, reason)
    return EpisodeReport(number, Verdict.CLOSE if rules.atol else Verdict.EXACT, num_steps, is_alone)


def _finish(rerun: Rerun, episode: Episode, num_steps: int) -> None:
    """Take the steps behind the first ``num_steps``: the next episode begins at the end of this one."""
    try:
        for step in range(num_steps, episode.length):
            rerun.step(episode.actions[step])
    except Exception as error:  # any error of the environment
        raise _refused(episode, error_text(error)) from error


def _refused(episode: Episode, error: str) -> NotReplayableError:
    return NotReplayableError(f"the environment raised {error} in episode {episode.number}, which is before it")
