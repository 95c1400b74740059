"""Fixtures for all tests: recorders that are quick to make, and a recording with frames."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest

from gym_h5record.writing import inline_worker, journal
from tests.paintings import Painter, record_paintings
from tests.writing import MODEST_BYTES

USUAL_SIZES = {name: getattr(journal, name) for name in ("_MAX_BYTES", "_FIRST_POPULATED_BYTES")}


def pytest_configure(config: pytest.Config) -> None:
    """Let child processes keep compiled modules, in a folder of this run, where Python is told to keep none.

    Hundreds of tests start a process, and to compile the package takes it 0.1 s (``scripts/bench_start.py``).
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        compiled = tempfile.TemporaryDirectory(prefix="compiled-")
        os.environ["PYTHONPYCACHEPREFIX"] = compiled.name
        config.add_cleanup(compiled.cleanup)


def pytest_sessionstart() -> None:
    """Receive interrupts. A shell starts a program in the background with SIGINT ignored, which children inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Freeze the thousands of collected tests: the garbage collector then does not walk them again and again."""
    _freeze()


_tests_run = itertools.count(1)


def pytest_runtest_logfinish() -> None:
    """Freeze what pytest keeps of the tests that were run: after 7,000 tests ``gc.collect`` takes 100 ms without it."""
    if next(_tests_run) % 100 == 0:
        _freeze()


def _freeze() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def modest_journals() -> Iterator[None]:
    """Make the journals of this process small. Processes that a test starts have journals of the usual size.

    To allocate, fill and free the pages of a usual journal takes 8 ms of processor time, of a modest one 1 ms.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_MAX_BYTES", MODEST_BYTES)
        patch.setattr(journal, "_FIRST_POPULATED_BYTES", MODEST_BYTES // 16)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """Sync nothing in this process, where a recording waits four times for the disk: no test cuts the power of one.

    Tests of what is synced replace ``os.fsync`` themselves. Processes that a test starts do sync.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: os.fstat(descriptor) and None)  # an error if it is not open
        yield


@pytest.fixture(autouse=True)
def uncompacted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have recorders of this process leave their recordings as they wrote them, but in tests marked ``compacted``.

    To compact takes 26 ms of processor time, half of what a recording of five steps takes. Most tests depend on values,
    and not on how they are stored. Fixtures of modules, and processes that a test starts, do compact.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("compacted") is None:
            patch.setattr(inline_worker, "compact", _leave)
        yield


def _leave(path: Path) -> bool:
    return False


@pytest.fixture
def usual_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make journals of the usual size."""
    for name, size_bytes in USUAL_SIZES.items():
        monkeypatch.setattr(journal, name, size_bytes)


@pytest.fixture(autouse=True, scope="session")
def _painter() -> Iterator[None]:
    gym.register("Painter-v0", Painter)
    yield
    gym.registry.pop("Painter-v0")


@pytest.fixture(scope="session")
def paintings(tmp_path_factory: pytest.TempPathFactory, _painter: None) -> Path:
    """A recording of two episodes with frames; do not change it."""
    return record_paintings(tmp_path_factory.mktemp("paintings") / "paintings.h5", metadata={"agent_id": "hand"})
