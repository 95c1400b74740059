"""The recording that others are compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.maintenance.scripted import make


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script without a change."""
    return make(tmp_path_factory.mktemp("diff") / "a.h5")
