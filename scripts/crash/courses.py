"""What an agent does with the lanes of a vector environment, and what a recording of it holds at every instant.

A course is the same every time. It follows Gymnasium's documentation of the autoreset modes and the promises of
docs/durability.md, and uses no code of the package. An act is a call of ``reset``, ``step`` or ``discard_episode``. It
reaches the file in stages, which a kill may come between: the rows of all lanes in one, a mark on a lane in another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice

__all__ = ["COURSES", "Course", "Kept", "Run", "Stage", "stages_of", "steps_of"]

NEVER = 10**9

Stage = tuple["Kept", ...]


@dataclass(frozen=True)
class Course:
    """How the lanes of a vector environment behave, and what is asked of them.

    Attributes:
        mode: The autoreset mode, as Gymnasium names it.
        lengths: The lengths of the episodes of each lane, in turn.
        discards: Whether some episodes are discarded, by ``keep`` and by the agent, and all lanes are reset early.
        is_rich: Whether there are texts, pictures, infos and extras beside the numbers that tell rows apart.
    """

    mode: str
    lengths: tuple[tuple[int, ...], ...]
    discards: bool = True
    is_rich: bool = True

    def length(self, lane: int, episode: int) -> int:
        """The length of an episode."""
        return self.lengths[lane][episode % len(self.lengths[lane])]

    def refuses(self, length: int) -> bool:
        """Whether ``keep`` says no to an episode of this length that its environment has ended."""
        return self.discards and length == 3


@dataclass(frozen=True)
class Kept:
    """An episode that a recording has.

    Attributes:
        lane: Its lane.
        number: Its number among the resets of that environment.
        length: Steps.
        is_over: Whether the environment has ended it.
    """

    lane: int
    number: int
    length: int
    is_over: bool


_FEW = ((1, 3), (4, 1, 2), (NEVER,), (2,), (7, 3, 1))
_MANY = tuple((1 + lane % 5, 1 + lane % 7) if lane % 11 else (NEVER,) for lane in range(1024))
COURSES = {
    "Lanes/NEXT_STEP": Course("NEXT_STEP", _FEW),
    "Lanes/SAME_STEP": Course("SAME_STEP", _FEW),
    "Lanes/DISABLED": Course("DISABLED", _FEW),
    "Lanes/SAME_STEP, all kept": Course("SAME_STEP", _FEW, discards=False),
    "Lanes/DISABLED, all kept": Course("DISABLED", _FEW, discards=False),
    "Lanes/in step": Course("NEXT_STEP", ((5,), (2, 9), (1,)), discards=False),
    "Lanes/1024": Course("NEXT_STEP", _MANY, discards=False, is_rich=False),
}


@dataclass
class _Lane:
    """An environment, and the newest episode of its lane in the file: None if it is not recorded."""

    episode: int = -1
    step: int = 0
    is_over: bool = True
    recorded: _Entry | None = None


@dataclass
class _Entry:
    kept: Kept
    tick: int
    is_ended: bool = False


@dataclass
class _File:
    """The episodes in the file, and the discarded ones."""

    entries: list[_Entry] = field(default_factory=list)
    ticks: int = 0
    discarded_episodes: int = 0
    discarded_steps: int = 0

    def stage(self) -> Stage:
        """The episodes in the order of the file: as they ended, then those that run by their lanes."""
        ended = sorted((each for each in self.entries if each.is_ended), key=lambda each: (each.tick, each.kept.lane))
        running = sorted((each for each in self.entries if not each.is_ended), key=lambda each: each.kept.lane)
        return tuple(each.kept for each in ended + running)

    def snapshot(self) -> tuple[Stage, int, int]:
        """The episodes, and how many episodes and steps have been discarded."""
        return self.stage(), self.discarded_episodes, self.discarded_steps

    def discard(self, lane: _Lane) -> None:
        """Remove the newest episode of a lane."""
        entry, lane.recorded = lane.recorded, None
        if entry is not None:
            del self.entries[next(at for at in range(len(self.entries) - 1, -1, -1) if self.entries[at] is entry)]
            self.discarded_episodes += 1
            self.discarded_steps += entry.kept.length


class Run:
    """A life of a recorder, act by act.

    Args:
        course: The course.

    Attributes:
        file: What the recording has.
    """

    def __init__(self, course: Course) -> None:
        self.file = _File()
        self._course = course
        self._lanes = [_Lane() for _ in course.lengths]
        self._first: list[int] | None = None  # lanes whose first rows wait for the first step

    def acts(self) -> Iterator[tuple[str, tuple[int, ...], Iterator[None]]]:
        """Every act: its kind, its lanes, and an iterator that goes on by one stage of the file."""
        everyone = tuple(range(len(self._lanes)))
        yield "reset", everyone, self._reset(everyone)
        step = 0
        while True:
            step += 1
            yield "step", (), self._step()
            if self._course.discards and step % 6 == 5:
                yield from self._discards(step)
            if self._course.mode == "DISABLED":
                yield from self._partial_resets(step)
            if self._course.discards and step % 17 == 16:
                yield "reset", everyone, self._reset(everyone)

    def places(self) -> tuple[tuple[int, int], ...]:
        """The episode and the step that each environment is at."""
        return tuple((lane.episode, lane.step) for lane in self._lanes)

    def _discards(self, step: int) -> Iterator[tuple[str, tuple[int, ...], Iterator[None]]]:
        wanted = {step % len(self._lanes), (step + 2) % len(self._lanes)}
        lanes = tuple(lane for lane in sorted(wanted) if self._lanes[lane].recorded is not None)
        if lanes:
            yield "discard", lanes, self._discard(lanes)

    def _partial_resets(self, step: int) -> Iterator[tuple[str, tuple[int, ...], Iterator[None]]]:
        """Reset the lanes that are over in two calls, and sometimes one that runs. In between, one may be discarded."""
        for rest in (0, 1):
            over = [number for number, lane in enumerate(self._lanes) if lane.is_over and number % 2 == rest]
            if self._course.discards and rest and step % 3 == 0 and over and self._lanes[over[-1]].recorded is not None:
                yield "discard", (over[-1],), self._discard((over[-1],))
            if rest and step % 5 == 0 and 2 not in over:
                over = sorted([*over, 2])
            if over:
                yield "reset", tuple(over), self._reset(tuple(over))

    # What a call does, stage by stage -------------------------------------------------------------

    def _reset(self, lanes: tuple[int, ...]) -> Iterator[None]:
        for number in lanes:
            entry = self._lanes[number].recorded
            if entry is not None and not entry.is_ended:
                entry.is_ended, entry.tick = True, self.file.ticks  # it ends with the reset
                yield
        self._begin(lanes)
        if self.file.ticks == 0:  # written with the first step
            self._first = list(lanes)
            return
        self._enter(lanes)
        yield

    def _step(self) -> Iterator[None]:
        mode, course = self._course.mode, self._course
        if self._first is not None:
            self._enter(tuple(self._first))
            self._first = None
            yield
        again = tuple(n for n, lane in enumerate(self._lanes) if lane.is_over) if mode == "NEXT_STEP" else ()
        stepped = [number for number in range(len(self._lanes)) if number not in {*again}]
        self._begin(again)
        self._enter(again, more=True)
        ended = []
        for number in stepped:
            lane = self._lanes[number]
            lane.step += 1
            lane.is_over = lane.step >= course.length(number, lane.episode)
            ended += [number] if lane.is_over else []
            if lane.recorded is not None:
                entry = lane.recorded
                entry.kept = replace(entry.kept, length=entry.kept.length + 1, is_over=lane.is_over)
                entry.tick, entry.is_ended = self.file.ticks, lane.is_over
        self.file.ticks += 1
        yield
        for number in ended:
            entry = self._lanes[number].recorded  # type: ignore[assignment]
            if entry is not None and course.refuses(entry.kept.length):
                self.file.discard(self._lanes[number])
                yield
        if mode == "SAME_STEP" and ended:
            self._begin(tuple(ended))
            self._enter(tuple(ended))
            yield

    def _discard(self, lanes: tuple[int, ...]) -> Iterator[None]:
        for number in lanes:
            self.file.discard(self._lanes[number])
            yield

    def _begin(self, lanes: tuple[int, ...]) -> None:
        for number in lanes:
            lane = self._lanes[number]
            lane.episode, lane.step, lane.is_over, lane.recorded = lane.episode + 1, 0, False, None

    def _enter(self, lanes: tuple[int, ...], *, more: bool = False) -> None:
        """Add the first rows of episodes: one tick, unless there are more rows in it."""
        for number in lanes:
            entry = _Entry(Kept(number, self._lanes[number].episode, 0, is_over=False), self.file.ticks)
            self._lanes[number].recorded = entry
            self.file.entries.append(entry)
        self.file.ticks += 0 if more else 1


@lru_cache(maxsize=16)
def stages_of(name: str, least: int, most: int) -> list[tuple[Stage, int, int]]:
    """The stages of the file of a life, from the end of some acts on up to the end of others. Every life is the same.

    Args:
        name: One of ``COURSES``.
        least: Acts before the first stage.
        most: Acts before the last one.

    Returns:
        Each with how many episodes and steps have been discarded.
    """
    run = Run(COURSES[name])
    found: list[tuple[Stage, int, int]] = []
    for number, (_, _, stages) in enumerate(islice(run.acts(), most)):
        if number == least:
            found.append(run.file.snapshot())
        if number < least:
            deque(stages, maxlen=0)
        else:
            found += [run.file.snapshot() for _ in stages]
    return found or [run.file.snapshot()]


def steps_of(name: str, least: int, most: int) -> tuple[list[int], list[int]]:
    """The steps in the file, and the discarded episodes, at each stage between some acts and others."""
    stages = stages_of(name, least, most)
    return [sum(kept.length for kept in stage) for stage, *_ in stages], [episodes for _, episodes, _ in stages]
