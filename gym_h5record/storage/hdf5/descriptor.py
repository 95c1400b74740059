"""A file descriptor that several threads read through while another thread may close it.

A descriptor that is closed in the middle of a read may already be the number of another file, whose bytes would then be
taken for those of the recording. So the last reader closes it.
"""

from __future__ import annotations

import errno
import os

from gym_h5record.errors import RecordingClosedError

__all__ = ["Descriptor"]


class Descriptor:
    """Reads a file at any position. No lock is taken, so that a forked child cannot inherit a locked one.

    Args:
        number: The open file descriptor. It is closed by ``close``.
    """

    def __init__(self, number: int) -> None:
        self._numbers = [number]  # empty once it is closed; ``pop`` is atomic, so that one thread closes it
        self._readers: list[None] = []
        self._is_closing = False

    def fileno(self) -> int:
        """The number of the descriptor, for calls that do not outlast the file."""
        try:
            return self._numbers[0]
        except IndexError:
            raise RecordingClosedError("the file has been closed.") from None

    def read(self, size: int, offset: int) -> bytes:
        """Read ``size`` bytes from ``offset`` on, fewer only at the end of the file.

        Raises:
            OSError: If the file cannot be read there.
            RecordingClosedError: If the file has been closed.
        """
        self._readers.append(None)  # before the flag is read: ``close`` sees this reader, or this reader sees the flag
        try:
            if self._is_closing:
                raise RecordingClosedError("the file has been closed.")
            return _read(self._numbers[0], size, offset)
        except OverflowError as error:
            raise OSError(errno.EINVAL, f"no file has bytes at {offset}") from error
        finally:
            self._readers.pop()
            if self._is_closing:
                self._close_unused()

    def close(self) -> None:
        """Close the file once no thread reads from it. May be called again."""
        self._is_closing = True
        self._close_unused()

    def _close_unused(self) -> None:
        if self._readers:
            return
        try:
            number = self._numbers.pop()
        except IndexError:  # another thread closes it
            return
        os.close(number)


def _read(number: int, size: int, offset: int) -> bytes:
    data = os.pread(number, size, offset)
    while len(data) < size and (more := os.pread(number, size - len(data), offset + len(data))):
        data += more  # a signal, or more than 2 GiB
    return data
