"""The contract of workers: both kinds fulfil it, and their errors say what to do."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from gym_h5record.writing.inline_worker import InlineWorker
from gym_h5record.writing.process_worker import ProcessWorker
from gym_h5record.writing.worker import Worker, describe_error, writer_error

METHODS = ["abandon", "attach", "cancel", "finish", "flush", "start", "urge", "watch"]


@pytest.mark.parametrize("kind", [InlineWorker, ProcessWorker])
def test_every_worker_has_the_methods_of_the_contract(kind: type) -> None:
    assert [name for name in dir(Worker) if not name.startswith("_")] == METHODS
    for name in METHODS:
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(Worker, name)), name


def test_an_error_names_the_recording_the_cause_and_two_ways_to_go_on() -> None:
    message = str(writer_error(Path("/data/run.h5"), "the disk is full"))
    assert message.startswith("recording to /data/run.h5 has failed: the disk is full. ")
    for part in ("run.h5.journal", "gym_h5record.repair('/data/run.h5')", 'mode="a"'):
        assert part in message


def test_an_error_of_several_lines_is_described_in_one() -> None:
    assert describe_error(RuntimeError("HDF5:\n  many\n  lines")) == "RuntimeError: HDF5: many lines"
