"""Hostile files, named in the modules of this directory: reading, repairing and appending to them does no harm.

This is a sample: every twelfth case, each with another entry. All cases with all entries take half an hour: set
``GYM_H5RECORD_HOSTILE=all``, or run ``scripts/fuzz_files.py``, which also counts the outcomes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.fuzz.entries import ENTRIES
from scripts.fuzz.prober import Prober
from scripts.fuzz.sites import Site
from tests.hostile.cases import Case, plant
from tests.hostile.chunks import plugin_path
from tests.hostile.files import CASES, MODULES

pytestmark = pytest.mark.compacted

SAMPLED_EVERY = 12

if os.environ.get("GYM_H5RECORD_HOSTILE") == "all":
    SELECTED = [(case, entry) for case in CASES.values() for entry in ENTRIES]
else:
    SELECTED = [
        (case, [*ENTRIES][number % len(ENTRIES)]) for number, case in enumerate([*CASES.values()][::SAMPLED_EVERY])
    ]


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober({"HDF5_PLUGIN_PATH": plugin_path() or ""}) as prober:
        yield prober


@pytest.fixture(scope="module")
def good_digest(prober: Prober, tmp_path_factory: pytest.TempPathFactory) -> str:
    site = Site(tmp_path_factory.mktemp("good"), os.urandom(8))
    plant(site)
    site.keep()
    outcome = prober.probe("read", site)
    site.remove()
    assert outcome.kind == "done"
    return outcome.digest


@pytest.mark.sampled(10)
@pytest.mark.parametrize(("case", "entry"), SELECTED, ids=[f"{case.name} | {entry}" for case, entry in SELECTED])
def test_a_hostile_file_is_refused_or_read_and_does_nothing_else(
    case: Case, entry: str, prober: Prober, good_digest: str, tmp_path: Path
) -> None:
    site = Site(tmp_path, os.urandom(8))
    case.make(site)
    site.keep()
    problem = case.problem(entry, prober.probe(entry, site), good_digest)
    site.remove()
    assert not problem, problem


def test_the_sample_has_all_entries_and_cases_of_all_modules() -> None:
    cases = {case.name for case, _ in SELECTED}
    assert {entry for _, entry in SELECTED} == {*ENTRIES}
    assert all(cases & {case.name for case in module.CASES} for module in MODULES)
