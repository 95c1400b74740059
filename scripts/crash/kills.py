"""Kills at random instants: while a recording is opened, created, made or repaired."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .courses import COURSES
from .inspector import Inspector
from .plays import ENVIRONMENTS
from .processes import Victim
from .tally import Tally
from .victim import Record, Repair

__all__ = ["CASES", "LANE_CASES", "VICTIMS", "kill_randomly", "kill_repairs", "strike", "wait_for_an_instant"]

VICTIMS = ("recorder", "writer", "both", "groups")
"""The processes to kill: "both" one after the other in any order, "groups" the process groups of both."""

CASES = [
    (env, writers[number % 2])
    for writers in (("process", "inline"), ("inline", "process"), ("process", "process"))
    for number, env in enumerate(ENVIRONMENTS)
]
"""Pairs of an environment and a writer: each environment with both writers, and again with "process"."""

LANE_CASES = [
    (env, writer)
    for writers in (("process", "inline"), ("inline", "process"))
    for env, writer in zip([name for name in COURSES if "all kept" not in name], itertools.cycle(writers))
]
"""The same of vector environments."""

_WORDS = {"both": "recorder and writer", "groups": "all processes at once"}


def kill_randomly(
    folder: Path,
    inspector: Inspector,
    chance: random.Random,
    victim: str,
    cases: Iterable[tuple[str, str]],
    what: str = "",
) -> Tally:
    """Kill one recording for each case, each at another instant.

    Args:
        folder: An empty folder to work in.
        inspector: Repairs and checks the files.
        chance: Chooses instants.
        victim: One of ``VICTIMS``.
        cases: Pairs as in ``CASES``. For the victims "writer" and "both", the writer is always "process".
        what: Words for the table, behind the victim.
    """
    tally = Tally(f"random instant: {_WORDS.get(victim, victim)}{what}")
    for number, (env, writer) in enumerate(cases):
        place = folder / f"{victim}{number}"
        task = _task(place, env, "process" if victim in ("writer", "both") else writer, chance)
        with Victim(task) as running:
            instant = wait_for_an_instant(running, chance)
            strike(running, victim, chance)
            complaint = running.complaint()
            where = f"{victim} {env} {task.writer} {task.durability} {instant}"
            steps = running.counter.steps
        if not running.was_killed:
            tally.fail(f"{where}: the recorder ended by itself: {complaint[-500:]}")
        tally.add(inspector.inspect(Path(task.path), env, [steps]), [steps], where)
    return tally


def kill_repairs(
    folder: Path, inspector: Inspector, chance: random.Random, cases: Iterable[tuple[str, str]], what: str = ""
) -> Tally:
    """Kill recordings, kill repairs of them, and inspect them; the arguments are those of ``kill_randomly``."""
    tally = Tally(f"random instant: `repair`, up to three times in a row{what}")
    for number, (env, writer) in enumerate(cases):
        place = folder / f"repair{number}"
        task = _task(place, env, writer, chance)
        with Victim(task) as running:
            running.wait_for_a_step()
            time.sleep(chance.uniform(0, 0.3))
            strike(running, "groups", chance)
            running.complaint()
            steps = running.counter.steps
        kills = chance.randint(1, 3)
        for _ in range(kills):
            with Victim(Repair(task.path, task.counter)) as repairing:
                repairing.wait_until_ready()
                time.sleep(chance.uniform(0, 0.03))
                repairing.kill(repairing.process.pid)
        finding = inspector.inspect(Path(task.path), env, [steps])
        tally.add(finding, [steps], f"repair {env} {writer}", points=kills)
    return tally


def wait_for_an_instant(running: Victim, chance: random.Random) -> str:
    """Wait for a random instant of a random phase.

    Returns:
        The name of the phase.
    """
    running.wait_until_ready()
    phase = chance.choice(("opening", "starting", "creating", "recording", "recording"))
    if phase == "opening":
        time.sleep(chance.uniform(0, 0.03))
    elif phase == "starting":
        time.sleep(chance.uniform(0, 0.3))
    else:
        running.wait_for_a_step()
        time.sleep(chance.uniform(0, 0.03 if phase == "creating" else 0.3))
    return phase


def strike(running: Victim, victim: str, chance: random.Random) -> None:
    """Kill the processes of ``victim``, one of ``VICTIMS``."""
    recorder = running.process.pid
    if victim == "writer":
        running.kill(running.wait_for_the_writer())
    elif victim == "both":
        pids = [recorder, running.wait_for_the_writer()]
        chance.shuffle(pids)
        running.kill(pids[0])
        time.sleep(chance.choice((0, chance.uniform(0, 0.01))))
        running.kill(pids[1])
    elif victim == "groups":
        writer = running.writer
        running.kill(recorder, group=True)
        running.kill(writer, group=True)
    else:
        running.kill(recorder)


def _task(place: Path, env: str, writer: str, chance: random.Random) -> Record:
    place.mkdir()
    task = Record(str(place / "run.h5"), f"{place}.counter", env, writer=writer)
    durability = chance.choice(("process", "process", "process", "power"))
    return replace(task, flush_interval_s=chance.choice((0.002, 0.05)), durability=durability)
