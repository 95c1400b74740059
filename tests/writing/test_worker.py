"""The contract of workers: both kinds fulfil it."""

from __future__ import annotations

import inspect

import pytest

from gym_h5record.writing.inline_worker import InlineWorker
from gym_h5record.writing.process_worker import ProcessWorker
from gym_h5record.writing.worker import Worker

METHODS = ["abandon", "attach", "cancel", "finish", "flush", "start", "urge", "watch"]


@pytest.mark.parametrize("kind", [InlineWorker, ProcessWorker])
def test_every_worker_has_the_methods_of_the_contract(kind: type) -> None:
    assert [name for name in dir(Worker) if not name.startswith("_")] == METHODS
    for name in METHODS:
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(Worker, name)), name
