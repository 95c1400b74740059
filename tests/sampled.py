"""Leaves out long tests, but with ``--all``: those marked ``long``, and of those marked ``sampled(n)`` most cases.

Every n-th case of a sampled test runs; the others differ little from it. The name of the test tells with which it
begins: so half of the tests that have a case for each writer run with ``inline``, the others with ``process``.
``.ci/run`` runs long tests, and those of kills and power cuts, with ``--all``.
"""

from __future__ import annotations

from collections import defaultdict
from zlib import crc32

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--all``."""
    parser.addoption(
        "--all",
        action="store_true",
        help="run long tests too, and all cases of sampled ones",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not to run. A case of a sampled test that is asked for by its name alone runs."""
    if config.getoption("all"):
        return
    cases: defaultdict[tuple[object, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        cases[item.path, getattr(item, "originalname", item.name)].append(item)
    chosen = {item for (_, name), found in cases.items() for item in _chosen(name, found)}
    left_out = [item for item in items if item not in chosen]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item in chosen]


def _chosen(name: str, cases: list[pytest.Item]) -> list[pytest.Item]:
    """Those of the cases of a test that run without ``--all``."""
    cases = [case for case in cases if not case.get_closest_marker("long")]
    if not cases:
        return []
    step = max((mark.args[0] for mark in cases[0].iter_markers("sampled")), default=1)
    return cases[crc32(name.encode()) % min(step, len(cases)) :: step]
