"""All hostile files, by name."""

from __future__ import annotations

from itertools import chain

from tests.hostile import (
    attributes,
    chunks,
    index,
    journal_rows,
    journals,
    lanes,
    links,
    packed,
    places,
    schemas,
    spaces,
    stacks,
    storage,
    superblocks,
    texts,
)
from tests.hostile.cases import Case

__all__ = ["CASES", "MODULES"]

MODULES = (
    links,
    storage,
    chunks,
    attributes,
    texts,
    spaces,
    schemas,
    index,
    superblocks,
    places,
    journals,
    journal_rows,
    stacks,
    packed,
    lanes,
)

CASES: dict[str, Case] = {case.name: case for case in chain.from_iterable(module.CASES for module in MODULES)}

if len(CASES) < sum(len(module.CASES) for module in MODULES):
    raise ValueError("two cases have the same name")
