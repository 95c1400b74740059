"""Is a step lost when recorders are killed? Kills them at random instants and at every write, and counts.

    python scripts/crash_test.py                            # 20 minutes on 2 cores
    python scripts/crash_test.py --scale small --seed 3     # a minute
    python scripts/crash_test.py --only lanes               # vector environments only; or "single"
    python scripts/crash_test.py --json out.json            # also write every number and every problem

Recorders count the steps that have returned in a shared file. After each crash the file is
repaired, and every episode in it is compared, bit for bit, with the same episode played again.
The file may hold one more step: its recorder was killed before it could count it. Some episodes are
discarded: they must not come back, but for the newest one, whose end the recorder did not live to see.
The exit code is 1 if a step is lost, a file does not open or an episode differs from the played one.
The promises are in docs/durability.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from crash.boundaries import Sampling, every_write
from crash.cycles import kill_and_resume
from crash.inspector import Inspector
from crash.kills import CASES, LANE_CASES, VICTIMS, kill_randomly, kill_repairs
from crash.scenes import LANE_SCENES, OF_LANES, SCENES, Scene
from crash.tally import Tally, markdown
from crash.tracing import why_not


@dataclass(frozen=True)
class Scale:
    """How much to do.

    Attributes:
        kills: Kills at random instants, for each of ``VICTIMS``.
        repairs: Recordings whose repairs are killed.
        cycles: Kills of recorders that append to one file.
        cycled: The environments that these recorders record.
        scenes: Indices into ``SCENES``: the scenes to stop at their writes.
        sampling: How many of their writes are looked at.
        lane_scenes: The same of ``LANE_SCENES``.
        lane_sampling: How many of their writes are looked at.
    """

    kills: int
    repairs: int
    cycles: int
    cycled: tuple[str, ...]
    scenes: tuple[int, ...]
    sampling: Sampling
    lane_scenes: tuple[int, ...]
    lane_sampling: Sampling


ORDER = ("random instant", "every write", "torn writes")
SCALES = {
    "small": Scale(
        5,
        2,
        5,
        ("Ragged", "Studio"),
        (0, 4, 9, 12, 15, 16, 18),
        Sampling(61, torn_every=17, twice_every=401),
        (0, 5, 10, 15, 17, 20, 22),
        Sampling(61, torn_every=19, twice_every=401),
    ),
    "full": Scale(
        48,
        24,
        50,
        ("Ragged", "CartPole-v1", "Studio"),
        tuple(range(len(SCENES))),
        Sampling(every=4, torn_every=2, twice_every=97),
        tuple(range(len(LANE_SCENES))),
        Sampling(every=9, torn_every=5, twice_every=199),
    ),
}


def main() -> int:
    """Kill, inspect, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("all", "single", "lanes"), default="all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    options = parser.parse_args()
    tallies: list[Tally] = []
    for tally in _all(SCALES[options.scale], random.Random(options.seed), options.only):
        twin = next((each for each in tallies if each.kind == tally.kind), None)
        if twin is None:
            tallies.append(tally)
        else:
            twin.merge(tally)
        print(f"{tally.kind}: {tally.points} crash points, {tally.lost} steps lost", file=sys.stderr)
    tallies.sort(key=lambda tally: ORDER.index(tally.kind.partition(":")[0]))
    print(markdown(tallies))
    for tally in tallies:
        print(*tally.problems, sep="\n", end="\n" if tally.problems else "", file=sys.stderr)
    if options.json is not None:
        content = {"scale": options.scale, "seed": options.seed, "kinds": [tally.as_dict() for tally in tallies]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0 if all(tally.is_good for tally in tallies) else 1


def _all(scale: Scale, chance: random.Random, only: str) -> Iterator[Tally]:
    with tempfile.TemporaryDirectory() as folder, Inspector() as inspector:
        if only != "lanes":
            scenes = [SCENES[number] for number in scale.scenes]
            yield from _kinds(folder, inspector, chance, scale, CASES, scale.cycled, (scenes, scale.sampling), "")
        if only != "single":
            scenes = [LANE_SCENES[number] for number in scale.lane_scenes]
            cycled = ("Lanes/SAME_STEP", "Lanes/DISABLED")
            yield from _kinds(
                folder, inspector, chance, scale, LANE_CASES, cycled, (scenes, scale.lane_sampling), OF_LANES
            )


def _kinds(
    folder: str,
    inspector: Inspector,
    chance: random.Random,
    scale: Scale,
    cases: list[tuple[str, str]],
    cycled: Iterable[str],
    traced: tuple[list[Scene], Sampling],
    what: str,
) -> Iterator[Tally]:
    for victim in VICTIMS:
        yield kill_randomly(_place(folder), inspector, chance, victim, islice(cycle(cases), scale.kills), what)
    yield kill_repairs(_place(folder), inspector, chance, islice(cycle(cases), scale.repairs), what)
    for env in cycled:
        yield kill_and_resume(_place(folder), inspector, chance, env, scale.cycles, what)
    if why_not():
        print(f"no crash points at every write: {why_not()}", file=sys.stderr)
        return
    scenes, sampling = traced
    for scene in scenes:
        yield from every_write(_place(folder), inspector, chance, scene, sampling)


def _place(folder: str) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


if __name__ == "__main__":
    sys.exit(main())
