"""Recordings of these tests are not compacted: to simulate again takes values, however they are stored."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def each_uncompacted(uncompacted: None) -> None:
    """Recordings are left as they were written. ``test_matrix`` replaces this fixture, and compacts."""
