"""Recordings that are made once and spoilt in copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.maintenance.validation import record, zoo_env
from tests.treasures import record_treasures


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with columns of every kind and nothing wrong; do not change it."""
    return record(tmp_path_factory.mktemp("pristine") / "run.h5", zoo_env())


@pytest.fixture
def path(pristine: Path, tmp_path: Path) -> Path:
    """A copy of ``pristine``."""
    return Path(shutil.copy(pristine, tmp_path / "run.h5"))


@pytest.fixture(scope="session")
def pristine_treasures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with extras, and rewards that are arrays; do not change it."""
    return record_treasures(tmp_path_factory.mktemp("treasures") / "run.h5")


@pytest.fixture
def treasures(pristine_treasures: Path, tmp_path: Path) -> Path:
    """A copy of ``pristine_treasures``. Its last rows are 5, 9 and 15; every other step has extras in JSON."""
    return Path(shutil.copy(pristine_treasures, tmp_path / "treasures.h5"))
