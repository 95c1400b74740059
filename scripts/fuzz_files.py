"""Can a hostile file hang or crash a reader, or make it do anything but read? Tries thousands of files.

    python scripts/fuzz_files.py                                  # all cases, and 5,000 mutants
    python scripts/fuzz_files.py --cases                          # the named cases only
    python scripts/fuzz_files.py --mutants 5000 --minutes 15      # at most 5,000 mutants, in 15 minutes
    python scripts/fuzz_files.py --mutants 1 --first 4711         # mutant 4711 alone
    python scripts/fuzz_files.py --mutants 500 --subject lanes    # mutants of vector recordings
    python scripts/fuzz_files.py --cases --only "a FIFO"          # cases with these words in their names

The named cases of ``tests/hostile`` go through every entry of ``scripts/fuzz/entries.py``. Mutants, which are
good recordings with bytes changed, go through ``different_entries``. Entries run in a process of limited memory
and time. The exit code is 1 if an entry hangs, crashes, takes too much memory, touches or reads other files, or
raises an error that is not the package's own. The promises are in docs/durability.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from types import ModuleType
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.fuzz.entries import ENTRIES, different_entries
from scripts.fuzz.mutations import KINDS, make_mutant
from scripts.fuzz.prober import Prober
from scripts.fuzz.sites import Site
from scripts.fuzz.subjects import SUBJECT, good_files
from scripts.fuzz.tally import Tally, markdown
from scripts.fuzz.worker import Outcome
from tests.hostile.chunks import plugin_path
from tests.hostile.files import CASES, MODULES

ItemT = TypeVar("ItemT")

MUTANTS = 5000
_PROGRESS_EVERY = 50
_SECRET_BYTES = 8


def main() -> int:
    """Try the files that the options choose, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", action="store_true", help="try the named cases")
    parser.add_argument("--mutants", type=int, metavar="N", help=f"try N mutants  [without options: {MUTANTS}]")
    parser.add_argument("--only", default="", metavar="WORDS", help="cases with these words in their names")
    parser.add_argument("--subject", default="", metavar="WORDS", help="mutants of recordings with these words")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth case or mutant")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first case or mutant")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutants")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="for the cases, and for the mutants")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the table")
    options = parser.parse_args()
    everything = not options.cases and options.mutants is None
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory() as folder, Prober({"HDF5_PLUGIN_PATH": plugin_path() or ""}) as prober:
        if options.cases or everything:
            names = [name for name in CASES if options.only in name][options.first :: options.every]
            tallies += _try_cases(Path(folder), prober, _in_time(names, options.minutes))
        if options.mutants is not None or everything:
            most = MUTANTS if options.mutants is None else options.mutants
            numbers = islice(_numbers(options.first, options.every, options.seed, options.subject), most)
            tallies += _try_mutants(Path(folder), prober, _in_time(numbers, options.minutes), options.seed)
    table = markdown(tallies)
    print(table)
    slowest_s, largest_bytes = (max(getattr(each, name) for each in tallies) for name in ("slowest_s", "largest_bytes"))
    print(f"\nThe slowest took {slowest_s:.1f} s, the largest {largest_bytes >> 20} MiB.")
    if options.output is not None:
        options.output.write_text(f"{table}\n")
    return 0 if all(tally.is_good for tally in tallies) else 1


def _try_cases(folder: Path, prober: Prober, names: Iterable[str]) -> list[Tally]:
    tallies = {case.name: tally for module in MODULES for tally in [_tally(module)] for case in module.CASES}
    used: dict[str, Tally] = {}
    good_digest = _probe_good(folder, prober, "read").digest
    for name in names:
        tally = used.setdefault(tallies[name].name, tallies[name])
        tally.add_file()
        with _site(folder) as site:
            CASES[name].make(site)
            site.keep()
            for entry in ENTRIES:
                outcome = prober.probe(entry, site)
                problem = CASES[name].problem(entry, outcome, good_digest)
                tally.add(name, entry, Outcome("other", problem) if problem and outcome.is_allowed else outcome)
    return list(used.values())


def _tally(module: ModuleType) -> Tally:
    return Tally(f"cases of {module.__name__.rpartition('.')[2]}")


def _try_mutants(folder: Path, prober: Prober, numbers: Iterable[int], seed: int) -> list[Tally]:
    tallies = {kind: Tally(f"mutants, {kind}") for kind in KINDS}
    good: dict[tuple[str, bool, str], Outcome] = {}
    for number in numbers:
        mutant = make_mutant(number, seed)
        tally = tallies[mutant.kind]
        tally.add_file()
        with _site(folder) as site:
            mutant.put(site)
            site.keep()
            for entry in different_entries(number):
                key = (mutant.subject, mutant.interrupted, entry)
                if key not in good:
                    good[key] = _probe_good(folder, prober, entry, mutant.subject, interrupted=mutant.interrupted)
                tally.add(f"mutant {number}", entry, prober.probe(entry, site), good[key])
    return [tally for tally in tallies.values() if tally.counts["files"]]


def _numbers(first: int, every: int, seed: int, words: str) -> Iterator[int]:
    """The numbers of the mutants of recordings with these words in their names."""
    return (number for number in count(first, every) if not words or words in make_mutant(number, seed).subject)


def _probe_good(
    folder: Path, prober: Prober, entry: str, subject: str = SUBJECT, *, interrupted: bool = False
) -> Outcome:
    with _site(folder) as site:
        for suffix, data in good_files(subject, interrupted=interrupted).items():
            site.beside(suffix).write_bytes(data)
        site.keep()
        return prober.probe(entry, site)


def _in_time(items: Iterable[ItemT], minutes: float) -> Iterator[ItemT]:
    """The items, until the minutes are over; prints the progress."""
    started_s = time.monotonic()
    for done, item in enumerate(items):
        passed_s = time.monotonic() - started_s
        if passed_s > 60 * minutes:
            print(f"no time for more than {done}", file=sys.stderr)
            return
        if done % _PROGRESS_EVERY == 0:
            print(f"{done} in {passed_s:.0f} s", file=sys.stderr)
        yield item


@contextmanager
def _site(folder: Path) -> Iterator[Site]:
    site = Site(Path(tempfile.mkdtemp(dir=folder)), os.urandom(_SECRET_BYTES))
    yield site
    site.remove()


if __name__ == "__main__":
    sys.exit(main())
