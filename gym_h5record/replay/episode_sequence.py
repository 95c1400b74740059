"""Episodes that follow each other in one environment, each beside its recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gym_h5record.errors import NotReplayableError, SnapshotError
from gym_h5record.reading.episodes import Episode
from gym_h5record.replay.episode_check import REFUSALS, Checked, Comparison, check_episode, error_text
from gym_h5record.replay.reports import EpisodeReport, Verdict
from gym_h5record.replay.rerun import Rerun

__all__ = ["check_pass", "not_replayable"]


_MAX_PLACES = 3


def check_pass(
    rerun: Rerun, chain: Sequence[Episode], wanted: Iterable[int], comparison: Comparison
) -> Iterator[EpisodeReport]:
    """Run episodes one after the other, each where the one before it ended, whatever that gave.

    Args:
        rerun: An environment in which the first one can begin.
        chain: The episodes.
        wanted: Numbers of those to report on.
        comparison: How to compare.

    Returns:
        The reports, in the order of the episodes.
    """
    left = set(wanted)
    try:
        for position, episode in enumerate(chain):
            checked = check_episode(rerun, episode, comparison, restore=not position)
            if episode.number in left:
                left.remove(episode.number)
                yield _judged(episode.number, checked, comparison, is_alone=not position)
            if not left:
                return
            divergence = checked.divergence
            if divergence is not None and divergence.leaf in REFUSALS:
                raise _refused(episode, divergence.found)
            _go_to_the_end(rerun, episode, checked.steps)
    except (NotReplayableError, SnapshotError) as error:
        yield from not_replayable(sorted(left), str(error))


def not_replayable(numbers: Iterable[int], reason: str) -> Iterator[EpisodeReport]:
    """Episodes that cannot be run, all for the same reason."""
    for number in numbers:
        yield EpisodeReport(number, Verdict.NOT_REPLAYABLE, reason=reason)


def _judged(number: int, checked: Checked, comparison: Comparison, *, is_alone: bool) -> EpisodeReport:
    steps, divergence, texts = checked
    if divergence is not None:
        return EpisodeReport(number, Verdict.DIVERGED, steps, is_alone, divergence=divergence)
    if texts:
        places = ", ".join(texts[:_MAX_PLACES]) + (", ..." if len(texts) > _MAX_PLACES else "")
        reason = (
            f"the file has only text of {places}, which was the same; leave out what is in infos to compare the rest"
        )
        return EpisodeReport(number, Verdict.UNPROVEN, steps, is_alone, reason)
    return EpisodeReport(number, Verdict.CLOSE if comparison.atol else Verdict.EXACT, steps, is_alone)


def _go_to_the_end(rerun: Rerun, episode: Episode, steps: int) -> None:
    """Take the steps that are left: the next episode begins where this one ended."""
    actions = episode.actions
    try:
        for step in range(steps, episode.length):
            rerun.step(actions[step])
    except Exception as error:  # whatever the environment raises
        raise _refused(episode, error_text(error)) from error


def _refused(episode: Episode, error: str) -> NotReplayableError:
    return NotReplayableError(f"the environment raised {error} in episode {episode.number}, which is before it")
