"""The standard streams of a process: what is opened to be written must never become one of them.

A program may run with them closed. The next file opened then is its standard
output or error, and whatever is printed goes into the recording.
"""

from __future__ import annotations

import os

__all__ = ["occupy_standard_streams"]

_NUM_STREAMS = 3


def occupy_standard_streams() -> None:
    """Open ``/dev/null`` in the place of standard streams that are closed, for as long as the process runs.

    The descriptors are not inherited: a program that is started finds them closed as before.
    """
    for stream in range(_NUM_STREAMS):
        try:
            os.fstat(stream)
        except OSError:  # noqa: PERF203  # three of them
            os.open(os.devnull, os.O_RDWR)  # the lowest descriptor that is free: this one
