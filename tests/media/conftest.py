"""A recording of rewards that are arrays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.treasures import record_treasures


@pytest.fixture(scope="session")
def treasures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of ``DeepSea``; do not change it."""
    return record_treasures(tmp_path_factory.mktemp("treasures") / "treasures.h5")
