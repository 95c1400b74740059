"""Runs some of the cases of long tests: those marked ``sampled(n)`` run every n-th of their cases, with ``--all`` each.

All cases take half as long again as the default suite. Those that are left out differ little from those that run.
"""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--all``."""
    parser.addoption("--all", action="store_true", help="run all cases of the tests that are marked as sampled")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases that are not to run. A case that is asked for by its name alone runs."""
    if config.getoption("all"):
        return
    counts: Counter[object] = Counter()
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        mark = item.get_closest_marker("sampled")
        test = item.path, getattr(item, "originalname", item.name)
        counts[test] += 1
        is_chosen = mark is None or (counts[test] - 1) % mark.args[0] == 0
        (chosen if is_chosen else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = chosen
