"""Runs the lanes of a vector environment again together, and compares each episode with its recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from gymnasium.vector import AutoresetMode

from gym_h5record.errors import NotReplayableError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.replay.outcome_comparison import ComparisonRules, OutcomeComparison, error_text, raised
from gym_h5record.replay.reports import Divergence, EpisodeReport, Verdict, unproven_reason
from gym_h5record.replay.rerun import Outcome
from gym_h5record.replay.vector_making import VectorEnvMaker
from gym_h5record.replay.vector_rerun import BatchOutcome, VectorRerun
from gym_h5record.replay.vector_timeline import LanesReset, LanesStepped, sessions_of, timeline

__all__ = ["check_together"]

Event = LanesReset | LanesStepped

_ASSUMED = "times were not recorded, so every reset of a lane is taken to come right after its end"


def check_together(
    recording: Recording, maker: VectorEnvMaker, wanted: Iterable[int], rules: ComparisonRules
) -> Iterator[EpisodeReport]:
    """Run all lanes from their first reset; report on the wanted episodes, each when it has ended.

    A difference does not stop the run: the vector environment goes on with the recorded actions. Only before the first
    reset of all lanes with seeds, a difference says no more than that the generators are other ones.

    Args:
        recording: The recording.
        maker: Makes the vector environment, once for each recorder that has written into the file.
        wanted: Numbers of episodes.
        rules: How to compare.
    """
    left, described = set(wanted), maker.described
    missing = [env for env in range(recording.num_envs + 1) if env not in described.lanes]
    if described.num_envs != recording.num_envs:
        yield from _not_replayable(left, f"lane {missing[0]}, which was stepped together with it, was not recorded")
        return
    try:
        sessions = sessions_of(recording)
    except NotReplayableError as error:
        yield from _not_replayable(left, str(error))
        return
    for session in sessions:
        in_session = left & {episode.number for lane in session for episode in lane}
        if not in_session:
            continue
        left -= in_session
        yield from _SessionCheck(recording, maker, in_session, rules).run(timeline(session, described.mode))


@dataclass
class _Progress:
    """How far an episode has been compared."""

    comparison: OutcomeComparison
    num_steps: int = 0
    divergence: Divergence | None = None


@dataclass
class _SessionCheck:
    """Compares the episodes of a session while they are run."""

    recording: Recording
    maker: VectorEnvMaker
    left: set[int]
    rules: ComparisonRules
    running: dict[int, _Progress] = field(default_factory=dict)
    is_seeded: bool = False
    is_lost: bool = False  # whether it had other generators than the recorded ones

    @property
    def are_resets_assumed(self) -> bool:
        """Whether the file does not say when a lane was reset after its end."""
        is_disabled = self.maker.described.mode is AutoresetMode.DISABLED
        return is_disabled and self.recording.episodes[0].times is None

    def run(self, events: Iterator[Event]) -> Iterator[EpisodeReport]:
        """Report on the episodes in ``left``."""
        with ExitStack() as stack:
            try:
                yield from self._run(events, stack)
                reason = "the file does not say how its lane went on"
            except NotReplayableError as error:
                reason = str(error)
            except _RaisedError as error:
                yield from self._raised(error)
                reason = f"the vector environment raised {error_text(error.cause)} before it"
        yield from self._stopped(reason)

    def _run(self, events: Iterator[Event], stack: ExitStack) -> Iterator[EpisodeReport]:
        rerun: VectorRerun | None = None
        for event in events:
            if _is_known(event):
                self.is_seeded, self.is_lost = True, False
            if rerun is None and not self.is_lost:
                stack.close()
                env = stack.enter_context(self.maker.opened())
                rerun = VectorRerun(self.recording, env, self.maker.described.mode)
            if rerun is not None:
                yield from self._follow(rerun, event)
            if self.is_lost:
                rerun = None
                begun = {episode.number for episode in event.begun.values()} & self.left
                yield from self._unknown({*begun, *self.running})
            if not self.left:
                return

    def _follow(self, rerun: VectorRerun, event: Event) -> Iterator[EpisodeReport]:
        try:
            outcome = _applied(rerun, event)
        except _RaisedError:
            if self.is_seeded:
                raise
            self.is_lost = True
        else:
            yield from self._compare(event, outcome)

    def _unknown(self, numbers: set[int]) -> Iterator[EpisodeReport]:
        self.left -= numbers
        self.running.clear()
        name = self.maker.described.name
        reason = f"no reset of all lanes up to it was given seeds, so the generators of {name} are not known"
        return _not_replayable(numbers, reason)

    def _compare(self, event: Event, outcome: BatchOutcome) -> Iterator[EpisodeReport]:
        for lane, (episode, step) in _stepped(event).items():
            progress = self.running.get(episode.number)
            if progress is not None and progress.divergence is None:
                found = outcome.stepped(lane)
                progress.num_steps = step + 1
                comparison = progress.comparison
                progress.divergence = comparison.step(step, found) or comparison.row(step + 1, found)
                self._note(progress)
            if step + 1 == episode.length:
                yield from self._ended(episode)
        for lane, episode in event.begun.items():
            if episode.number in self.left:
                self._begin(episode, outcome.begun(lane))
                if not episode.length:
                    yield from self._ended(episode)

    def _begin(self, episode: Episode, found: Outcome) -> None:
        progress = self.running[episode.number] = _Progress(OutcomeComparison(episode, self.rules))
        progress.divergence = progress.comparison.row(0, found)
        self._note(progress)

    def _note(self, progress: _Progress) -> None:
        self.is_lost = self.is_lost or (progress.divergence is not None and not self.is_seeded)

    def _ended(self, episode: Episode) -> Iterator[EpisodeReport]:
        progress = None if self.is_lost else self.running.pop(episode.number, None)
        if progress is not None:
            self.left.remove(episode.number)
            yield self._report(episode.number, progress)

    def _report(self, number: int, progress: _Progress) -> EpisodeReport:
        divergence, texts = progress.divergence, tuple(progress.comparison.texts)
        is_exact = Verdict.CLOSE if self.rules.atol else Verdict.EXACT
        verdict = Verdict.DIVERGED if divergence else Verdict.UNPROVEN if texts else is_exact
        reason = unproven_reason(texts) if verdict is Verdict.UNPROVEN else ""
        if verdict is Verdict.DIVERGED and self.are_resets_assumed:
            reason = _ASSUMED
        return EpisodeReport(
            number, verdict, progress.num_steps, independent=False, reason=reason, divergence=divergence
        )

    def _raised(self, error: _RaisedError) -> Iterator[EpisodeReport]:
        """Report on the episodes that were being reset or stepped when the environment raised an error."""
        for episode, step in _stepped(error.event).values():
            if episode.number in self.running:
                progress = self.running[episode.number]
                action = episode.actions[step]
                progress.divergence = progress.divergence or raised(episode, step, fmt.ACTIONS, action, error.cause)
                yield from self._ended(episode)
        for episode in error.event.begun.values():
            if episode.number in self.left and isinstance(error.event, LanesReset):
                divergence = raised(episode, 0, "reset", episode.options, error.cause)
                self.running[episode.number] = _Progress(OutcomeComparison(episode, self.rules), 0, divergence)
                yield from self._ended(episode)

    def _stopped(self, reason: str) -> Iterator[EpisodeReport]:
        for number in sorted(self.left):
            progress = self.running.get(number)
            if progress is not None and progress.divergence is not None:
                yield self._report(number, progress)
            else:
                num_steps = 0 if progress is None else progress.num_steps
                yield EpisodeReport(number, Verdict.NOT_REPLAYABLE, num_steps, independent=False, reason=reason)


class _RaisedError(Exception):
    """The vector environment raised an error at a recorded reset or step."""

    def __init__(self, event: Event, cause: Exception) -> None:
        super().__init__(event)
        self.event, self.cause = event, cause


def _applied(rerun: VectorRerun, event: Event) -> BatchOutcome:
    try:
        return rerun.apply(event)
    except RecordingError:  # of the file
        raise
    except Exception as error:  # any error of the environment
        raise _RaisedError(event, error) from error


def _is_known(event: Event) -> bool:
    """Whether the state of the vector environment after it depends on nothing that came before."""
    return (
        isinstance(event, LanesReset) and event.is_full and all(each.seed is not None for each in event.begun.values())
    )


def _stepped(event: Event) -> dict[int, tuple[Episode, int]]:
    return event.stepped if isinstance(event, LanesStepped) else {}


def _not_replayable(numbers: Iterable[int], reason: str) -> Iterator[EpisodeReport]:
    for number in sorted(numbers):
        yield EpisodeReport(number, Verdict.NOT_REPLAYABLE, independent=False, reason=reason)
