"""Good recordings with bytes changed at random: a small sample of ``scripts/fuzz_files.py``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.fuzz.entries import different_entries
from scripts.fuzz.mutations import KINDS, make_mutant
from scripts.fuzz.prober import Prober
from scripts.fuzz.sites import Site
from scripts.fuzz.subjects import good_files
from scripts.fuzz.tally import COLUMNS, Tally, markdown
from scripts.fuzz.worker import Outcome

pytestmark = pytest.mark.compacted

MUTANTS = 12
ENTRIES_EACH = 3  # entries that each mutant goes through


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@pytest.mark.sampled(5)
@pytest.mark.parametrize("number", range(MUTANTS))
def test_a_mutant_is_refused_or_read_and_does_nothing_else(number: int, prober: Prober, tmp_path: Path) -> None:
    site = Site(tmp_path, os.urandom(8))
    make_mutant(number).put(site)
    site.keep()
    entries = different_entries(number)
    for entry in (entries * 2)[number % len(entries) :][:ENTRIES_EACH]:
        outcome = prober.probe(entry, site)
        assert outcome.is_allowed, f"{entry}: {outcome.kind}: {outcome.detail}"
    site.remove()


def test_number_and_seed_decide_a_mutant() -> None:
    assert make_mutant(4).files == make_mutant(4).files
    assert make_mutant(4).files != make_mutant(5).files
    assert make_mutant(4).files != make_mutant(4, seed=1).files


@pytest.mark.long
def test_most_mutants_differ_from_the_good_recording() -> None:
    mutants = [make_mutant(number) for number in range(MUTANTS)]
    assert {mutant.kind for mutant in mutants} <= KINDS.keys()
    flawed = [each for each in mutants if each.files != good_files(each.subject, interrupted=each.interrupted)]
    assert len(flawed) > MUTANTS / 2  # some changes happen to change nothing


def test_the_table_counts_allowed_and_forbidden_outcomes() -> None:
    tally = Tally("a")
    tally.add_file()
    tally.add("one", "read", Outcome("done", digest="x"), Outcome("done", digest="x"))
    tally.add("one", "live", Outcome("done", digest="y"), Outcome("done", digest="x"))
    tally.add("one", "repair", Outcome("refused"))
    assert tally.is_good
    tally.add("one", "append", Outcome("hang", "no answer"))
    tally.add("one", "info", Outcome("TypeError", "float"))
    assert not tally.is_good
    assert [tally.counts[name] for name in COLUMNS] == [1, 5, 1, 1, 1, 1, 0, 0, 0, 1]
    assert tally.problems == ["one, append: hang: no answer", "one, info: TypeError: float"]
    assert markdown([tally]).splitlines()[-1] == "| together | 1 | 5 | 1 | 1 | 1 | 1 | 0 | 0 | 0 | 1 |"
