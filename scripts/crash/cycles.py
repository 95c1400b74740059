"""Kills and resumes, over and over, on one file: each recorder begins with what the last one left."""

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


def kill_and_resume(folder: Path, inspector: Inspector, chance: random.Random, env: str, cycles: int) -> Tally:
    """Record to one file with ``mode="a"``, and kill it, so many times.

    A third of the recorders live for 30 ms at most. The file is inspected,
    and with that repaired, now and then and at the end; all others are left
    to the next recorder.

    Args:
        folder: For files of ours, empty.
        inspector: Looks at what is left.
        chance: Chooses instants and victims.
        env: What is recorded.
        cycles: How many.
    """
    tally = Tally(f'random instant: {cycles} times `mode="a"` on one file')
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
        with Victim(task) as running:
            running.wait_until_ready()
            time.sleep(chance.choice((chance.uniform(0, 0.03), chance.uniform(0, 0.4), chance.uniform(0.2, 0.8))))
            strike(running, chance.choice(VICTIMS) if writer == "process" else "recorder", chance)
            complaint = running.complaint()
            acknowledged.append(running.counter.steps)
        if not running.was_killed:
            tally.fail(f"{env}, life {life}: the recorder ended by itself: {complaint[-500:]}")
        is_last = life == cycles - 1
        if is_last or life % _LOOK_EVERY == _LOOK_EVERY - 1:
            finding = inspector.inspect(Path(task.path), env, acknowledged)
            good = finding.opens and not finding.contradicting
            if is_last or not good:
                tally.add(finding, acknowledged, f"{env}, after {life + 1} lives", points=life + 1)
                return tally
    return tally
