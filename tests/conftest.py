"""Fixtures for all tests: small journals, which take less time to make, and a recording with frames."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest

from gym_h5record.writing import journal
from tests.paintings import Painter, record_paintings
from tests.writing import MODEST_BYTES

USUAL_BYTES = journal._MAX_BYTES


def pytest_collection_finish() -> None:
    """Freeze the thousands of collected tests: the garbage collector then does not walk them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def modest_journals() -> Iterator[None]:
    """Make the journals of this process small. Processes that a test starts have journals of the usual size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_MAX_BYTES", 4 * MODEST_BYTES)
        yield


@pytest.fixture
def usual_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make journals of the usual size."""
    monkeypatch.setattr(journal, "_MAX_BYTES", USUAL_BYTES)


@pytest.fixture(autouse=True, scope="session")
def _painter() -> Iterator[None]:
    gym.register("Painter-v0", Painter)
    yield
    gym.registry.pop("Painter-v0")


@pytest.fixture(scope="session")
def paintings(tmp_path_factory: pytest.TempPathFactory, _painter: None) -> Path:
    """A recording of two episodes with frames; do not change it."""
    return record_paintings(tmp_path_factory.mktemp("paintings") / "paintings.h5", metadata={"agent_id": "hand"})
