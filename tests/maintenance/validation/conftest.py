"""Recordings that are made once and spoilt in copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.maintenance.validation import record, zoo_env


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with columns of every kind and nothing wrong; do not change it."""
    return record(tmp_path_factory.mktemp("pristine") / "run.h5", zoo_env())


@pytest.fixture
def path(pristine: Path, tmp_path: Path) -> Path:
    """A copy of ``pristine``."""
    return Path(shutil.copy(pristine, tmp_path / "run.h5"))
