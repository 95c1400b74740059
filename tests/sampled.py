"""Leaves out long tests, but with ``--all``: those marked ``long``, and of those marked ``sampled(n)`` most cases.

Every n-th case of a sampled test runs; the others differ little from it. ``.ci/run`` runs the tests of kills and power
cuts with ``--all``.
"""

from __future__ import annotations

from collections import Counter

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
    counts: Counter[object] = Counter()
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        mark = item.get_closest_marker("sampled")
        test = item.path, getattr(item, "originalname", item.name)
        counts[test] += 1
        is_chosen = not item.get_closest_marker("long") and (mark is None or (counts[test] - 1) % mark.args[0] == 0)
        (chosen if is_chosen else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = chosen
