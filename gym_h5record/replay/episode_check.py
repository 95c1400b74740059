"""Runs one episode again and compares it with its recording, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from gym_h5record.errors import DivergedError, NotReplayableError, SnapshotError
from gym_h5record.format import names as fmt
from gym_h5record.reading.episodes import Episode
from gym_h5record.replay.outcome_comparison import ComparisonRules, OutcomeComparison, raised
from gym_h5record.replay.reports import Divergence
from gym_h5record.replay.rerun import Outcome, Rerun

__all__ = ["RAISED", "Checked", "check_episode", "go_to"]

RAISED = ("reset", fmt.ACTIONS)
"""Leaves of a ``Divergence`` where the environment raised an error, at a reset or at an action."""


class Checked(NamedTuple):
    """The result of ``check_episode``.

    Attributes:
        num_steps: How many steps were taken.
        divergence: The first difference, None if there is none.
        texts: Places of values that the file has only as text. The text is equal; the values may still differ.
    """

    num_steps: int
    divergence: Divergence | None
    texts: tuple[str, ...] = ()


def check_episode(
    rerun: Rerun, episode: Episode, rules: ComparisonRules, *, restore: bool, num_steps: int | None = None
) -> Checked:
    """Run an episode, or its first steps, and compare all of its recorded values, up to the first difference.

    Raises:
        SnapshotError: If the snapshot is to be restored, and does not fit the environment.
        NotReplayableError: If the file has an action, or the options of the reset, only as text.
    """
    comparison = OutcomeComparison(episode, rules)
    try:
        outcome = rerun.begin(episode, restore=restore)
    except (SnapshotError, NotReplayableError):
        raise
    except Exception as error:  # noqa: BLE001  # any error of the environment is a divergence: it raised none before
        return Checked(0, raised(episode, 0, "reset", episode.options, error))
    divergence = comparison.row(0, outcome)
    if divergence is not None:
        return Checked(0, divergence)
    length = episode.length if num_steps is None else num_steps
    for step in range(length):
        action = episode.actions[step]
        try:
            outcome = rerun.step(action)
        except NotReplayableError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            return Checked(step, raised(episode, step, fmt.ACTIONS, action, error))
        divergence = comparison.step(step, outcome) or comparison.row(step + 1, outcome)
        if divergence is not None:
            return Checked(step + 1, divergence)
    return Checked(length, None, tuple(comparison.texts))


def go_to(
    rerun: Rerun, episodes: Sequence[Episode], num_steps: int, rules: ComparisonRules, *, restore_all: bool
) -> Outcome:
    """Run episodes one after the other, and of the last one only the first steps; the outcome of the last step.

    The last episode is compared at every step, not only at its end: hidden state may show in any value, such as a
    reward that running statistics scale. ``restore_all`` says whether to restore every episode's snapshot, or only
    that of the first one.

    Raises:
        DivergedError: At the first difference in the last episode.
    """
    *before, last = episodes
    rerun.play(before, restore_all=restore_all)
    checked = check_episode(rerun, last, rules, restore=restore_all or not before, num_steps=num_steps)
    if checked.divergence is not None:
        raise DivergedError(
            f"{rerun.recording.path}: the environment is not where the recording was: {checked.divergence}. "
            "Is it made like the recorded one? gym_h5record.verify compares all episodes."
        )
    return cast("Outcome", rerun.last)  # check_episode has at least begun the episode
