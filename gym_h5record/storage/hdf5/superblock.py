"""The superblock of an HDF5 file: is it being written, and mend it if not.

A writer that dies leaves the "open for writing" flags set and the end-of-file
address behind the real end of the file; HDF5 then refuses the file, and tools
that only clear the flags cut off everything behind the stale address. Offsets
are those of the HDF5 File Format Specification 3.0, section II.A, versions 2
and 3, with 8-byte addresses. Nothing else of HDF5 is parsed here.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from gym_h5record.errors import NotARecordingError, RecordingPathError
from gym_h5record.storage.hdf5.lookup3 import lookup3

__all__ = [
    "SUPERBLOCK_BYTES",
    "Superblock",
    "clear_write_flags",
    "closed_superblock",
    "cut_bytes",
    "is_torn",
    "marked_live",
    "read_superblock",
]


SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUPERBLOCK_BYTES = 48
_FLAGS_AT = 11
_WRITING, _SWMR_WRITING = 0x01, 0x04
_END_OF_FILE_AT = 28
_CHECKSUM_AT = 44


@dataclass(frozen=True)
class Superblock:
    """What matters of a superblock.

    Attributes:
        version: Version of the superblock; only 2 and 3 can be mended.
        flags: 0x01 open for writing, 0x04 open for SWMR writing.
        end_of_file: The size in bytes that HDF5 believes the file to have.
        checksum_valid: Whether the stored checksum matches.
    """

    version: int
    flags: int
    end_of_file: int
    checksum_valid: bool


def read_superblock(path: str | os.PathLike[str]) -> Superblock | None:
    """Read the superblock at the start of ``path``; None if it is no regular file, or not HDF5.

    Raises:
        OSError: If it cannot be opened.
        RecordingPathError: If it cannot be read: a broken disk, or a file of ``/proc``.
    """
    # A FIFO would let us wait, a device do something.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        block = os.pread(descriptor, SUPERBLOCK_BYTES, 0) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError as error:
        raise RecordingPathError(f"{path} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if not block.startswith(SIGNATURE) or len(block) < SUPERBLOCK_BYTES:
        return None
    version = block[8]
    if version not in (2, 3) or block[9] != 8:
        return Superblock(version, flags=0, end_of_file=0, checksum_valid=True)
    (end_of_file,) = struct.unpack_from("<Q", block, _END_OF_FILE_AT)
    (checksum,) = struct.unpack_from("<I", block, _CHECKSUM_AT)
    return Superblock(version, block[_FLAGS_AT], end_of_file, checksum == lookup3(block[:_CHECKSUM_AT]))


def is_torn(path: str | os.PathLike[str]) -> bool:
    """Whether the file is open for writing, or was when its writer died."""
    superblock = read_superblock(path)
    if superblock is None or superblock.version not in (2, 3):
        return False
    return superblock.flags != 0 or superblock.end_of_file != os.stat(path).st_size


def cut_bytes(path: str | os.PathLike[str]) -> int:
    """How many bytes a file has lost at its end since it was closed."""
    superblock = read_superblock(path)
    if superblock is None or superblock.flags:
        return 0
    return max(0, superblock.end_of_file - os.stat(path).st_size)


def closed_superblock(block: bytes, end_of_file: int) -> bytes:
    """A superblock as it is once the file has been closed: no flags, this end of file, a valid checksum.

    Args:
        block: The first ``SUPERBLOCK_BYTES`` of the file.
        end_of_file: Size of the file.

    Raises:
        NotARecordingError: If they are no superblock of version 2 or 3.
    """
    if not block.startswith(SIGNATURE) or len(block) < SUPERBLOCK_BYTES or block[8] not in (2, 3) or block[9] != 8:
        raise NotARecordingError("there is no HDF5 superblock of version 2 or 3 at the start of the file")
    closed = bytearray(block)
    closed[_FLAGS_AT] = 0
    struct.pack_into("<Q", closed, _END_OF_FILE_AT, end_of_file)
    struct.pack_into("<I", closed, _CHECKSUM_AT, lookup3(bytes(closed[:_CHECKSUM_AT])))
    return bytes(closed)


def marked_live(block: bytes) -> bytes:
    """A superblock of a file that is being written, marked so that HDF5's SWMR readers may read it.

    Args:
        block: What is about to be written at the start of the file; returned as
            it is unless it is a superblock that says "open for writing".
    """
    if len(block) != SUPERBLOCK_BYTES or not block.startswith(SIGNATURE) or not block[_FLAGS_AT] & _WRITING:
        return block
    marked = bytearray(block)
    marked[_FLAGS_AT] |= _SWMR_WRITING
    struct.pack_into("<I", marked, _CHECKSUM_AT, lookup3(bytes(marked[:_CHECKSUM_AT])))
    return bytes(marked)


def clear_write_flags(path: str | os.PathLike[str]) -> None:
    """Make a file openable that its writer left open.

    Clears the flags, moves the end-of-file address to the real end of the file
    (or extends the file to it) and renews the checksum. The caller must own the
    file: doing this to a live one corrupts it. Safe to interrupt and to repeat.
    """
    size_bytes = os.stat(path).st_size
    with Path(path).open("r+b") as file:
        block = file.read(SUPERBLOCK_BYTES)
        (end_of_file,) = struct.unpack_from("<Q", block, _END_OF_FILE_AT)
        end_of_file = max(end_of_file, size_bytes)
        if size_bytes < end_of_file:
            file.truncate(end_of_file)
        block = closed_superblock(block, end_of_file)
        file.seek(0)
        file.write(block)  # 48 bytes in one page: never torn by a dying process
        file.flush()
        os.fsync(file.fileno())
