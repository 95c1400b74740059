"""Superblocks that lie, and files that have lost their end, their beginning or everything."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import suppress

from gym_h5record.storage.hdf5.superblock import SIGNATURE, closed_superblock
from scripts.fuzz.sites import Site
from scripts.fuzz.subjects import good_files
from tests.hostile.cases import Cases, plant

__all__ = ["CASES"]

CASES = Cases()


def _checked(data: bytes) -> bytes:
    """Make the checksum of the superblock fit, without changing its flags or its end of file."""
    block = bytearray(closed_superblock(data[:48], struct.unpack_from("<Q", data, 28)[0]))
    if block[11] == data[11]:
        return bytes(block) + data[48:]
    return data


def _patched(at: int, value: bytes, *, checked: bool = True) -> Callable[[Site], None]:
    def make(site: Site) -> None:
        data = good_files()[""]
        data = data[:at] + value + data[at + len(value) :]
        with suppress(ValueError):  # a superblock that ``closed_superblock`` does not know: leave its checksum
            data = _checked(data) if checked else data
        site.path.write_bytes(data)

    return make


for _version in (0, 1, 4, 77, 255):
    CASES.case(f"a superblock of version {_version}")(_patched(8, bytes([_version])))
for _size in (0, 1, 2, 4, 16, 255):
    CASES.case(f"addresses of {_size} bytes")(_patched(9, bytes([_size])))
    CASES.case(f"lengths of {_size} bytes")(_patched(10, bytes([_size])))
for _flags in (1, 4, 5, 0x80, 0xFF):
    CASES.case(f"flags {_flags:#x} and a bad checksum")(_patched(11, bytes([_flags]), checked=False))
for _words, _value in (
    ("the end of the file is 0", 0),
    ("the end of the file is 48", 48),
    ("the end of the file is 2^62", 1 << 62),
    ("the end of the file is nowhere", (1 << 64) - 1),
):
    CASES.case(_words)(_patched(28, struct.pack("<Q", _value)))
    CASES.case(f"{_words}, and it is marked as being written")(_patched(28, struct.pack("<Q", _value), checked=False))
for _words, _at in (("the base", 12), ("the superblock's extension", 20), ("the root", 36)):
    for _place, _value in (("at 0", 0), ("at 8", 8), ("behind the end", 1 << 40), ("nowhere", (1 << 64) - 1)):
        CASES.case(f"{_words} is {_place}", expect="any")(_patched(_at, struct.pack("<Q", _value)))


@CASES.case("an empty file")
def _(site: Site) -> None:
    site.path.write_bytes(b"")


@CASES.case("a signature and nothing else")
def _(site: Site) -> None:
    site.path.write_bytes(SIGNATURE)


@CASES.case("a signature and 1 TiB of nothing")
def _(site: Site) -> None:
    site.path.write_bytes(SIGNATURE)
    os.truncate(site.path, 1 << 40)


@CASES.case("a recording and 1 TiB of nothing")
def _(site: Site) -> None:
    plant(site)
    os.truncate(site.path, 1 << 40)


@CASES.case("1 TiB of nothing")
def _(site: Site) -> None:
    site.path.write_bytes(b"")
    os.truncate(site.path, 1 << 40)


@CASES.case("a recording behind 512 bytes of something else")
def _(site: Site) -> None:
    site.path.write_bytes(b"#!/bin/sh\n".ljust(512, b"\n") + good_files()[""])


@CASES.case("noise")
def _(site: Site) -> None:
    site.path.write_bytes(SIGNATURE + bytes([3, 8, 8, 0]) + os.urandom(100_000))


for _share in (0.0005, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999):

    @CASES.case(f"{_share:.2%} of a recording")
    def _(site: Site, share: float = _share) -> None:
        data = good_files()[""]
        site.path.write_bytes(data[: max(1, int(len(data) * share))])

    @CASES.case(f"{_share:.2%} of a recording that says it is whole", expect="any")
    def _(site: Site, share: float = _share) -> None:
        data = good_files()[""]
        data = data[: max(48, int(len(data) * share))]
        site.path.write_bytes(closed_superblock(data[:48], len(data)) + data[48:])

    @CASES.case(f"{_share:.2%} of an interrupted recording, without its journal", expect="any")
    def _(site: Site, share: float = _share) -> None:
        data = good_files(interrupted=True)[""]
        site.path.write_bytes(data[: max(1, int(len(data) * share))])
