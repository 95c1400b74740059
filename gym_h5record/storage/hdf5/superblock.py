"""The superblock of an HDF5 file: is the file being written, and how to mend it after its writer died.

A dead writer leaves the flags "open for writing" set, and an end-of-file address before the real end of the file. HDF5
refuses such a file, and a tool that only clears the flags cuts off everything behind that address. Offsets: HDF5 File
Format Specification 3.0, section II.A, versions 2 and 3, with addresses of 8 bytes.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from gym_h5record.errors import NotARecordingError, RecordingPathError
from gym_h5record.storage.hdf5.lookup3 import lookup3_hash
from gym_h5record.storage.paths import closing_descriptor

__all__ = [
    "SIGNATURE",
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
_VERSIONS = (2, 3)
_ADDRESS_BYTES = 8
_VERSION_AT, _ADDRESS_BYTES_AT, _FLAGS_AT = 8, 9, 11
_WRITING, _SWMR_WRITING = 0x01, 0x04
_END_OF_FILE_AT = 28
_CHECKSUM_AT = 44


@dataclass(frozen=True)
class Superblock:
    """Parts of a superblock, and the size of the file when it was read.

    Attributes:
        version: Version of the superblock. Of other versions than 2 and 3 nothing else is read.
        flags: 0x01 open for writing, 0x04 open for SWMR writing.
        end_of_file: The size in bytes that HDF5 believes the file to have.
        size_bytes: The size of the file.
    """

    version: int
    flags: int
    end_of_file: int
    size_bytes: int

    @property
    def is_torn(self) -> bool:
        """Whether the file is open for writing, or was when its writer died."""
        return self.version in _VERSIONS and (self.flags != 0 or self.end_of_file != self.size_bytes)

    @property
    def cut_bytes(self) -> int:
        """How many bytes the file has lost at its end since it was closed."""
        return 0 if self.flags else max(0, self.end_of_file - self.size_bytes)


def read_superblock(path: str | os.PathLike[str]) -> Superblock | None:
    """Read the superblock at the start of a file; None if it is not a regular file, or not HDF5.

    Raises:
        OSError: If the file cannot be opened.
        RecordingPathError: If it cannot be read: the disk is broken, or it is a file of ``/proc``.
    """
    with closing_descriptor(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as descriptor:  # a FIFO would block
        try:
            block = os.pread(descriptor, SUPERBLOCK_BYTES, 0) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
            size_bytes = os.fstat(descriptor).st_size  # after the block: a writer makes the file longer, then the block
        except OSError as error:
            raise RecordingPathError(f"{path} cannot be read: {error.strerror}") from error
    if not block.startswith(SIGNATURE) or len(block) < SUPERBLOCK_BYTES:
        return None
    if not _is_mendable(block):
        return Superblock(block[_VERSION_AT], flags=0, end_of_file=0, size_bytes=size_bytes)
    (end_of_file,) = struct.unpack_from("<Q", block, _END_OF_FILE_AT)
    return Superblock(block[_VERSION_AT], block[_FLAGS_AT], end_of_file, size_bytes)


def _is_mendable(block: bytes) -> bool:
    return block[_VERSION_AT] in _VERSIONS and block[_ADDRESS_BYTES_AT] == _ADDRESS_BYTES


def is_torn(path: str | os.PathLike[str]) -> bool:
    """``Superblock.is_torn`` of a file; False if it is not HDF5."""
    superblock = read_superblock(path)
    return superblock is not None and superblock.is_torn


def cut_bytes(path: str | os.PathLike[str]) -> int:
    """``Superblock.cut_bytes`` of a file; 0 if it is not HDF5."""
    superblock = read_superblock(path)
    return 0 if superblock is None else superblock.cut_bytes


def closed_superblock(block: bytes, end_of_file: int) -> bytes:
    """The superblock of the same file when it has been closed: no flags, this end of file, a valid checksum.

    Raises:
        NotARecordingError: If ``block``, the start of the file, is no superblock of version 2 or 3.
    """
    if not block.startswith(SIGNATURE) or len(block) < SUPERBLOCK_BYTES or not _is_mendable(block):
        raise NotARecordingError("there is no HDF5 superblock of version 2 or 3 at the start of the file")
    closed = bytearray(block)
    closed[_FLAGS_AT] = 0
    struct.pack_into("<Q", closed, _END_OF_FILE_AT, end_of_file)
    return _sealed(closed)


def marked_live(block: bytes) -> bytes:
    """Mark a superblock that says "open for writing", so that HDF5's own SWMR readers open the file.

    Other bytes that are about to be written at the start of the file are returned unchanged.
    """
    if len(block) != SUPERBLOCK_BYTES or not block.startswith(SIGNATURE) or not block[_FLAGS_AT] & _WRITING:
        return block
    marked = bytearray(block)
    marked[_FLAGS_AT] |= _SWMR_WRITING
    return _sealed(marked)


def _sealed(block: bytearray) -> bytes:
    struct.pack_into("<I", block, _CHECKSUM_AT, lookup3_hash(bytes(block[:_CHECKSUM_AT])))
    return bytes(block)


def clear_write_flags(path: str | os.PathLike[str]) -> None:
    """Make HDF5 open a file again whose writer died.

    Clears the flags, moves the end-of-file address to the real end of the file (or extends the file to it) and renews
    the checksum. The caller must own the file: this corrupts a file that is being written. Safe to interrupt and to
    repeat.
    """
    size_bytes = os.stat(path).st_size
    with Path(path).open("r+b", buffering=0) as file:
        block = file.read(SUPERBLOCK_BYTES)
        (end_of_file,) = struct.unpack_from("<Q", block, _END_OF_FILE_AT)
        end_of_file = max(end_of_file, size_bytes)
        if size_bytes < end_of_file:
            file.truncate(end_of_file)
        block = closed_superblock(block, end_of_file)
        file.seek(0)
        file.write(block)  # in one page, and SIGKILL interrupts a write only between pages
        os.fsync(file.fileno())
