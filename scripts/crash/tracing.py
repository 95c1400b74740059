"""Stops a process before each of its writes into a folder: ptrace on Linux, x86-64.

At the entry of a system call, a process has done everything before the call and nothing of it. If it
is killed there, it leaves its files exactly as they are.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Stop", "why_not", "writes"]

_SYSCALL, _SEIZE, _INTERRUPT, _GET_SYSCALL_INFO = 24, 0x4206, 0x4207, 0x420E
_TRACE_SYSTEM_CALLS, _KILL_ON_EXIT = 0x01, 0x100000
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_ENTRY = 1

# By number: the name, and which arguments are descriptors or paths.
_CALLS: dict[int, tuple[str, tuple[int, ...], tuple[int, ...]]] = {
    1: ("write", (0,), ()),
    2: ("open", (), (0,)),
    18: ("pwrite64", (0,), ()),
    20: ("writev", (0,), ()),
    26: ("msync", (), ()),
    74: ("fsync", (0,), ()),
    75: ("fdatasync", (0,), ()),
    76: ("truncate", (), (0,)),
    77: ("ftruncate", (0,), ()),
    82: ("rename", (), (0, 1)),
    87: ("unlink", (), (0,)),
    257: ("openat", (), (1,)),
    263: ("unlinkat", (), (1,)),
    264: ("renameat", (), (1, 3)),
    285: ("fallocate", (0,), ()),
    296: ("pwritev", (0,), ()),
    316: ("renameat2", (), (1, 3)),
}
_KILL = 62
_OPEN_FLAGS_ARGUMENT = {2: 1, 257: 2}
_PWRITE = 18


class _SyscallInfo(ctypes.Structure):
    _fields_ = (
        ("op", ctypes.c_uint8),
        ("padding", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
        ("reserved", ctypes.c_uint64 * 4),
    )


@dataclass(frozen=True)
class Stop:
    """A process that is about to write.

    Attributes:
        call: The system call, or "store" for a store into a control word of a mapped journal.
        path: The file, None for a store.
        data: The bytes that a ``pwrite64`` is about to write, empty for other calls.
        offset: Where in the file they go.
    """

    call: str
    path: Path | None = None
    data: bytes = b""
    offset: int = 0


@cache
def why_not() -> str:
    """The reason why processes cannot be traced on this machine, empty if they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "traces system calls of Linux on x86-64 only"
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if release is None or (int(release[1]), int(release[2])) < (5, 3):
        return "PTRACE_GET_SYSCALL_INFO came with Linux 5.3"
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            _ptrace(_SEIZE, process.pid, 0, _KILL_ON_EXIT)
        except OSError as error:
            return f"ptrace is not allowed: {error.strerror}"
        finally:
            process.kill()
    return ""


def writes(process: subprocess.Popen[bytes], folder: Path) -> Iterator[Stop]:
    """Stop a child at every write into ``folder`` until it ends. It continues when the next stop is asked for.

    Args:
        process: Waits for a line on its standard input; this function sends the line. Its first thread
            must do all writes.
        folder: An absolute path without links.
    """
    pid, info = process.pid, _SyscallInfo()
    _ptrace(_SEIZE, pid, 0, _TRACE_SYSTEM_CALLS | _KILL_ON_EXIT)
    try:
        _ptrace(_INTERRUPT, pid, 0, 0)
        if process.stdin is not None:
            process.stdin.write(b"\n")
            process.stdin.flush()
        while True:
            status = _wait(process)
            if process.returncode is not None:
                return
            received = os.WSTOPSIG(status)
            if received == _SYSCALL_STOP:
                _ptrace(_GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
                stop = _understand(pid, info, folder)
                if stop is not None:
                    yield stop
            is_signal = status >> 16 == 0 and received != _SYSCALL_STOP
            _ptrace(_SYSCALL, pid, 0, received if is_signal else 0)
    finally:
        if process.returncode is None:
            os.kill(pid, signal.SIGKILL)
            while process.returncode is None:
                _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the next stop or the end of the process. ``Popen.wait`` would take a stop for the end."""
    _, status = os.waitpid(process.pid, 0)
    if not os.WIFSTOPPED(status):
        process.returncode = os.waitstatus_to_exitcode(status)
    return status


def _understand(pid: int, info: _SyscallInfo, folder: Path) -> Stop | None:
    """The stop, if a call that writes into ``folder`` begins; else None."""
    number, arguments = int(info.number), info.arguments
    if info.op != _ENTRY:
        return None
    if number == _KILL and arguments[0] == pid and arguments[1] == 0:
        return Stop("store")
    if number not in _CALLS:
        return None
    name, descriptors, paths = _CALLS[number]
    if number in _OPEN_FLAGS_ARGUMENT and not arguments[_OPEN_FLAGS_ARGUMENT[number]] & (os.O_CREAT | os.O_TRUNC):
        return None
    touched = [_open_path(pid, int(arguments[each])) for each in descriptors]
    touched += [Path(os.fsdecode(_read_text(pid, int(arguments[each])))) for each in paths]
    path = next((each for each in touched if each == folder or folder in each.parents), None)
    if path is None:
        return None
    if number == _PWRITE:
        return Stop(name, path, _read_memory(pid, int(arguments[1]), int(arguments[2])), int(arguments[3]))
    return Stop(name, path)


def _open_path(pid: int, descriptor: int) -> Path:
    try:
        return Path(f"/proc/{pid}/fd/{descriptor}").readlink()
    except OSError:
        return Path()


def _read_memory(pid: int, address: int, size_bytes: int) -> bytes:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(size_bytes)


def _read_text(pid: int, address: int) -> bytes:
    """Read a zero-terminated text. Never read past its page: the next page may not be mapped."""
    text = b""
    while b"\0" not in text:
        text += _read_memory(pid, address + len(text), 256 - (address + len(text)) % 256)
    return text.partition(b"\0")[0]


def _ptrace(request: int, pid: int, address: int, data: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, pid, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
