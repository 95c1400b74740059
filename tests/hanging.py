"""Says where a test hangs, also if it hangs in C, where ``pytest-timeout`` cannot stop it.

``faulthandler_timeout`` of pytest does the same. But it starts a thread for each test and waits until the thread has
ended: 0.5 ms a test if a processor is idle, 4 ms if none is. Here the clock is set again at most every 5 s.
"""

from __future__ import annotations

import faulthandler
import os
import time

import pytest

_HANGS_AFTER_S = 110  # sooner than the ``timeout`` in pyproject.toml
_SET_EVERY_S = 5.0

_stderr = os.dup(2)  # pytest imports this module, which ``-p`` names, before it captures what tests write
_set_at_s = float("-inf")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol() -> None:
    """Have the stacks of all threads written, unless another test begins in time."""
    global _set_at_s
    now_s = time.monotonic()
    if now_s - _set_at_s > _SET_EVERY_S:
        faulthandler.dump_traceback_later(_HANGS_AFTER_S, file=_stderr)
        _set_at_s = now_s


def pytest_unconfigure() -> None:
    """Forget the clock: a program that ends slowly is no test that hangs."""
    faulthandler.cancel_dump_traceback_later()
