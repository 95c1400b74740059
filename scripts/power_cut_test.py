"""Is anything lost when the power goes? Cuts it in a model of a disk, at random moments, and counts.

    python scripts/power_cut_test.py                            # 20 minutes on 2 cores
    python scripts/power_cut_test.py --scale small --seed 3     # half a minute
    python scripts/power_cut_test.py --json out.json            # and everything that was wrong

A recorder runs, and every write, sync, rename and unlink of it is noted. After a
power cut there is everything that a completed sync covers; anything later is
there, absent or torn, each page of 4 KiB or sector of 512 bytes for itself. Then
the machine has been started again, the file is repaired, and every episode
compared, bit for bit, with a rehearsal of it. A step had to be there if a commit
that began after its return was complete. The exit code is 1 if one is lost with
``durability="power"``, or a file does not open, or an episode is not what was
played; without it nothing is promised. docs/durability.md says what is.
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
from scripts.power_cut.lag import Lag, measure
from scripts.power_cut.scenes import Film, Life, film, film_repair, look, moments
from scripts.power_cut.tally import Tally, markdown

LIVES = (
    Life("Ragged", steps=60, flush_every=7),
    Life("FrozenLake-v1", steps=900, flush_every=110, ring_rows=1024),
    Life("CartPole-v1", steps=900, flush_every=110, ring_rows=1024),
    Life("ALE/Breakout-v5", steps=40, flush_every=7, ring_rows=16),
)
CLOSING = 0.93
"""Where the last part of a recording begins, as a part of its moments."""


@dataclass(frozen=True)
class Scale:
    """How much to do.

    Attributes:
        lives: What is recorded.
        cuts: Power cuts of each kind in each of them.
        seconds: How long to measure the lag, each time.
    """

    lives: tuple[Life, ...]
    cuts: int
    seconds: float


SCALES = {"small": Scale(LIVES[:1], 12, 0.5), "full": Scale(LIVES, 100, 5.0)}


class Cuts:
    """Power cuts of every kind.

    Args:
        folder: For files of ours, empty.
        inspector: Looks at what is left.
        chance: Chooses.
        count: How many of each kind.
    """

    def __init__(self, folder: Path, inspector: Inspector, chance: random.Random, count: int) -> None:
        self.tallies: dict[str, Tally] = {}
        self._folder = folder
        self._inspector = inspector
        self._chance = chance
        self._count = count

    def of(self, life: Life) -> None:
        """Cut the power while a life is recorded, closed, repaired, and gone on with."""
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
        """Kills, not power cuts: every step that has returned has to be there."""
        taken = film(self._place() / "run.h5", replace(life, outlived=False))
        self._cut("not the power fails: the recorder is killed", taken, has_power=True)

    def without_promise(self, life: Life) -> None:
        """The same of a recording that does not wait for the disk."""
        taken = film(self._place() / "run.h5", replace(life, durability="process"))
        self._cut('`durability="process"`: nothing is promised', taken, has_promise=False)

    def _cut_repairs(self, taken: Film) -> None:
        for _ in range(4):
            left, steps = self._left(taken)
            self._cut("`repair` after a power cut", film_repair(left, taken.env, steps), count=self._count // 4)

    def _left(self, taken: Film) -> tuple[Path, list[tuple[int, int]]]:
        """What a power cut in the middle of a recording leaves, and what has to be in it."""
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
        tally = self.tallies.setdefault(kind, Tally(kind, has_promise=has_promise))
        before, place = tally.lost, self._folder / "cut"
        for moment in moments(taken.history, self._count if count is None else count, self._chance, start):
            look(tally, taken, moment, self._chance, place, self._inspector, has_power=has_power)
        print(f"{kind}, {taken.env}: {tally.cuts} power cuts so far, {tally.lost - before} steps lost", file=sys.stderr)

    def _place(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))


def main() -> int:
    """Do all of it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there as well")
    options = parser.parse_args()
    scale = SCALES[options.scale]
    with tempfile.TemporaryDirectory() as folder, Inspector() as inspector:
        cuts = Cuts(Path(folder), inspector, random.Random(options.seed), scale.cuts)
        for life in scale.lives:
            cuts.of(life)
            cuts.killed(life)
        for life in scale.lives:
            cuts.without_promise(life)
        tallies = [*cuts.tallies.values()]
        lags = list(_lags(Path(folder), scale.seconds))
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
