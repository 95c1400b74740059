"""Kills recorders that append to one file: each of them begins with the files that the killed one left."""

from __future__ import annotations

import random
import time
from pathlib import Path

from .inspector import Inspector
from .kills import VICTIMS, strike
from .processes import Victim
from .tally import Tally
from .victim import Record

__all__ = ["kill_and_resume"]

_LOOK_EVERY = 10


def kill_and_resume(
    folder: Path, inspector: Inspector, chance: random.Random, env: str, cycles: int, what: str = ""
) -> Tally:
    """Start ``cycles`` recorders on one file, all with ``mode="a"``, and kill each of them.

    A third of the recorders live for 30 ms at most. The last one takes at least one step. Every tenth time, and at the
    end, the file is inspected, which repairs it. All other times the next recorder finds the files as the kill left
    them.

    Args:
        folder: An empty folder to work in.
        inspector: Repairs and checks the files.
        chance: Chooses instants and victims.
        env: The environment to record.
        cycles: How many recorders.
        what: Words for the table.
    """
    tally = Tally(f'random instant: {cycles} times `mode="a"` on one file{what}')
    acknowledged: list[int] = []
    for life in range(cycles):
        writer = chance.choice(("process", "process", "inline"))
        task = Record(
            str(folder / "run.h5"),
            f"{folder}.counter",
            env,
            life,
            "a",
            writer,
            chance.choice((0.002, 0.05)),
            chance.choice(("process", "process", "process", "power")),
        )
        is_last = life == cycles - 1
        with Victim(task) as running:
            running.wait_until_ready()
            if is_last:
                running.wait_for_a_step()  # on a slow machine no other recorder may get so far
            time.sleep(chance.choice((chance.uniform(0, 0.03), chance.uniform(0, 0.4), chance.uniform(0.2, 0.8))))
            strike(running, chance.choice(VICTIMS) if writer == "process" else "recorder", chance)
            complaint = running.complaint()
            acknowledged.append(running.counter.steps)
        if not running.was_killed:
            tally.fail(f"{env}, life {life}: the recorder ended by itself: {complaint[-500:]}")
        if is_last or life % _LOOK_EVERY == _LOOK_EVERY - 1:
            finding = inspector.inspect(Path(task.path), env, acknowledged)
            good = finding.opens and not finding.contradicting
            if is_last or not good:
                tally.add(finding, acknowledged, f"{env}, after {life + 1} lives", points=life + 1)
                return tally
    return tally
