"""Is a step lost when the power is cut? Cuts it at random moments, on a model of a disk, and counts.

    python scripts/power_cut_test.py                            # 20 minutes on 2 cores
    python scripts/power_cut_test.py --scale small --seed 3     # a minute
    python scripts/power_cut_test.py --only lanes               # vector environments only
    python scripts/power_cut_test.py --json out.json            # also write every number and every problem

A recorder runs, and its writes, syncs, renames and unlinks are noted. After a power cut the disk
has everything that a completed sync covers. Each page of 4 KiB, or each sector of 512 bytes, has any of the
contents it has had since then, independently of the others. Then the machine counts as restarted, the
file is repaired, and every episode is compared, bit for bit, with the same episode played again. A step
must be there if a commit that began after its return was completed. With ``durability="power"`` the
exit code is 1 if such a step is lost, a file does not open or an episode differs from the played one;
``durability="process"`` makes no promise. The promises are in docs/durability.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.crash.inspector import Inspector
from scripts.crash.lanes import has_lanes
from scripts.crash.scenes import OF_LANES
from scripts.power_cut.lag import Lag, measure
from scripts.power_cut.scenes import Film, Life, film, film_repair, look, moments
from scripts.power_cut.tally import Tally, markdown

LIVES = (
    Life("Ragged", steps=60, flush_every=7),
    Life("FrozenLake-v1", steps=900, flush_every=110, ring_rows=1024),
    Life("CartPole-v1", steps=900, flush_every=110, ring_rows=1024),
    Life("ALE/Breakout-v5", steps=40, flush_every=7, ring_rows=16),
)
LANE_LIVES = (
    Life("Lanes/SAME_STEP", steps=80, flush_every=9, ring_rows=16),
    Life("Lanes/NEXT_STEP", steps=80, flush_every=9, ring_rows=16),
    Life("Lanes/DISABLED", steps=120, flush_every=13, ring_rows=32),
    Life("Lanes/in step", steps=60, flush_every=7, ring_rows=64),
    Life("Lanes/1024", steps=12, flush_every=4, ring_rows=8),
)
CLOSING = 0.93
"""The share of a recording's moments that pass before its last part begins."""


@dataclass(frozen=True)
class Scale:
    """How much to do.

    Attributes:
        lives: The recordings to make.
        lane_lives: Recordings of vector environments to make.
        cuts: Power cuts of each kind in each of ``lives``.
        seconds: How long to take steps in each measurement of the lag.
    """

    lives: tuple[Life, ...]
    lane_lives: tuple[Life, ...]
    cuts: int
    seconds: float


SCALES = {"small": Scale(LIVES[:1], LANE_LIVES[:1], 12, 0.5), "full": Scale(LIVES, LANE_LIVES, 100, 5.0)}


class Cuts:
    """Power cuts of every kind.

    Args:
        folder: An empty folder to work in.
        inspector: Repairs and checks the files that a power cut leaves.
        chance: Chooses the moments, and what survives.
        count: How many power cuts of each kind.
    """

    def __init__(self, folder: Path, inspector: Inspector, chance: random.Random, count: int) -> None:
        self.tallies: dict[str, Tally] = {}
        self._folder = folder
        self._inspector = inspector
        self._chance = chance
        self._count = count

    def of(self, life: Life) -> None:
        """Cut the power while a life is recorded, closed, repaired and appended to."""
        taken = film(self._place() / "run.h5", life)
        self._cut("a recording, from start to close", taken)
        self._cut("the end of it: the last commits, and `close`", taken, start=CLOSING)
        self._cut_repairs(taken)
        more = replace(life, steps=life.steps // 2, number=1, mode="a")
        left, steps = self._left(taken)
        self._cut('`mode="a"` after a power cut', film(left, more, steps))
        place = self._place()
        whole = film(place / "run.h5", life)
        self._cut('`mode="a"` after `close`', film(place / "run.h5", more, whole.at(whole.history.now)))

    def killed(self, life: Life) -> None:
        """Kill the recorder instead: every step that has returned must be there."""
        taken = film(self._place() / "run.h5", replace(life, outlived=False))
        self._cut("not the power fails: the recorder is killed", taken, has_power=True)

    def without_promise(self, life: Life) -> None:
        """Cut the power while a recording with ``durability="process"``, which does not wait for the disk, is made."""
        taken = film(self._place() / "run.h5", replace(life, durability="process"))
        self._cut('`durability="process"`: nothing is promised', taken, has_promise=False)

    def _cut_repairs(self, taken: Film) -> None:
        for _ in range(4):
            left, steps = self._left(taken)
            self._cut("`repair` after a power cut", film_repair(left, taken.env, steps), count=self._count // 4)

    def _left(self, taken: Film) -> tuple[Path, list[tuple[int, int]]]:
        """The recording that a power cut in its middle leaves, and the steps of each life that must be in it."""
        (moment,) = moments(taken.history, 1, self._chance, start=0.3)
        place = self._place()
        place.rmdir()
        taken.history.survive(moment, self._chance, place)
        return place / "run.h5", taken.at(moment)

    def _cut(
        self,
        kind: str,
        taken: Film,
        *,
        start: float = 0.0,
        count: int | None = None,
        has_promise: bool = True,
        has_power: bool = False,
    ) -> None:
        kind += OF_LANES if has_lanes(taken.env) else ""
        tally = self.tallies.setdefault(kind, Tally(kind, has_promise=has_promise))
        before, place = tally.lost, self._folder / "cut"
        for moment in moments(taken.history, self._count if count is None else count, self._chance, start):
            look(tally, taken, moment, self._chance, place, self._inspector, has_power=has_power)
        print(f"{kind}, {taken.env}: {tally.cuts} power cuts so far, {tally.lost - before} steps lost", file=sys.stderr)

    def _place(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))


def main() -> int:
    """Cut the power, inspect, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("all", "lanes"), default="all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    options = parser.parse_args()
    scale = SCALES[options.scale]
    with tempfile.TemporaryDirectory() as folder, Inspector() as inspector:
        cuts = Cuts(Path(folder), inspector, random.Random(options.seed), scale.cuts)
        for lives in (scale.lives, scale.lane_lives)[options.only == "lanes" :]:
            for life in lives:
                cuts.of(life)
                cuts.killed(life)
            for life in lives:
                cuts.without_promise(life)
        tallies = [*cuts.tallies.values()]
        lags = [] if options.only == "lanes" else list(_lags(Path(folder), scale.seconds))
    print(markdown(tallies))
    print("", "How far the disk is behind:", *lags, sep="\n")
    for tally in tallies:
        if tally.has_promise:
            print(*tally.problems, sep="\n", end="\n" if tally.problems else "", file=sys.stderr)
    if options.json is not None:
        content = {"scale": options.scale, "seed": options.seed, "kinds": [tally.as_dict() for tally in tallies]}
        options.json.write_text(json.dumps({**content, "lags": [str(lag) for lag in lags]}, indent=1) + "\n")
    return 0 if all(tally.is_good for tally in tallies) else 1


def _lags(folder: Path, seconds: float) -> Iterator[Lag]:
    cases = [(writer, interval_s, 0.0) for writer in ("process", "inline") for interval_s in (0.1, 1.0)]
    cases += [("process", 0.1, 0.5), ("inline", 0.1, 0.5)]
    for number, (writer, interval_s, pause_s) in enumerate(cases):
        yield measure(folder / f"lag{number}.h5", writer, interval_s, max(seconds, 1.5 * interval_s), pause_s)


if __name__ == "__main__":
    sys.exit(main())
