"""Journals whose rows or segments were changed, and interrupted recordings that do not fit their journals."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from gym_h5record.storage.hdf5.superblock import clear_write_flags
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.journal_rows import BLOB_ENDS, FLAGS
from scripts.fuzz.sites import Site
from tests.hostile.cases import Cases, plant, set_text
from tests.hostile.journal_bytes import HEADER_AT, LAST, PAGE, JournalBytes

CASES = Cases()

ALSO = ("overwrite",)
_SEGMENT = struct.Struct("<IIQ")  # number of the field, lane, bytes that follow

# Rows and segments ----------------------------------------------------------------------------------


def _ends(change: Callable[[np.ndarray], None]) -> Callable[[Site], None]:
    def make(site: Site) -> None:
        journal = JournalBytes(site)
        ends = journal.column(BLOB_ENDS)
        change(ends)
        del ends
        journal.save()

    return make


for _words, _ends_change in {
    "decrease": lambda ends: ends.__setitem__(slice(None), np.arange(len(ends))[::-1]),
    "are 0": lambda ends: ends.__setitem__(slice(None), 0),
    "are 2^63": lambda ends: ends.__setitem__(slice(None), 1 << 63),
    "are the largest number": lambda ends: ends.__setitem__(slice(None), LAST),
    "grow by 2^40": lambda ends: ends.__setitem__(slice(None), np.arange(len(ends), dtype=np.uint64) << np.uint64(40)),
    "grow by one": lambda ends: ends.__setitem__(slice(None), np.arange(len(ends))),
    "grow by 50,000": lambda ends: ends.__setitem__(slice(None), np.arange(len(ends)) * 50_000),
}.items():
    CASES.case(f"the ends of segments {_words}", "any")(_ends(_ends_change))


def _segments(change: Callable[[bytearray, int], None]) -> Callable[[Site], None]:
    def make(site: Site) -> None:
        journal = JournalBytes(site)
        change(journal.data, journal.blob_at)
        journal.save()

    return make


def _renumber(number: int) -> Callable[[bytearray, int], None]:
    def change(data: bytearray, at: int) -> None:
        while True:
            size = _SEGMENT.unpack_from(data, at)[2]
            if not size or at + size > len(data):
                return
            struct.pack_into("<I", data, at, number)
            at += _SEGMENT.size + size

    return change


def _each_segment(replace: Callable[[bytes], bytes]) -> Callable[[bytearray, int], None]:
    def change(data: bytearray, at: int) -> None:
        while True:
            size = _SEGMENT.unpack_from(data, at)[2]
            at += _SEGMENT.size
            if not size or at + size > len(data):
                return
            content = bytes(data[at : at + size])
            data[at : at + size] = replace(content).ljust(size)[:size]
            at += size

    return change


for _number in (0, 1, 2, 3, 5, 77, 0xFFFF0000, 0xFFFF0001, 0xFFFF0002, 0xFFFF0003, 0xFFFFFFFF):
    CASES.case(f"all segments have the number {_number:#x}", "any")(_segments(_renumber(_number)))
for _size in (0, 1, 1 << 20, 1 << 40, LAST):
    CASES.case(f"the first segment has {_size} bytes", "any")(
        _segments(lambda data, at, size=_size: struct.pack_into("<Q", data, at + 8, size))
    )
for _lane in (1, 77, 1 << 14, (1 << 32) - 1):
    CASES.case(f"the first segment is of lane {_lane}", "any")(
        _segments(lambda data, at, lane=_lane: struct.pack_into("<I", data, at + 4, lane))
    )
for _words, _replace in {
    "zeros": lambda content: bytes(len(content)),
    "ones": lambda content: b"\xff" * len(content),
    "brackets": lambda content: b"[" * len(content),
    "empty objects": lambda content: b"{}",
    "null": lambda content: b"null",
    "odd columns": lambda content: b'{"columns": {"seeds": 1e99, "ids": null, "origins": -7}, "json": {}}',
}.items():
    CASES.case(f"all segments are {_words}", "any")(_segments(_each_segment(_replace)))


@CASES.case("every row of the journal is noise", "any", ALSO)
def _(site: Site) -> None:
    journal = JournalBytes(site)
    at = HEADER_AT + -(-journal.word(Control.HEADER_BYTES) // PAGE) * PAGE
    journal.data[at:] = np.random.default_rng(0).bytes(len(journal.data) - at)
    journal.save()


@CASES.case("every flag of the journal is set", "any")
def _(site: Site) -> None:
    journal = JournalBytes(site)
    flags = journal.column(FLAGS)
    flags[:] = 0xFF
    del flags
    journal.save()


@CASES.case("booleans in the journal that are neither", "any")
def _(site: Site) -> None:
    journal = JournalBytes(site)
    for name in ("terminations", "truncations"):
        column = journal.column(name).view(np.uint8)
        column[:] = 7
        del column
    journal.save()


@CASES.case("the journal is 1 TiB of nothing behind what it has", "any")
def _(site: Site) -> None:
    plant(site, interrupted=True)
    os.truncate(site.beside(".journal"), 1 << 40)


@CASES.case("the journal says it has a ring of 2^30 rows and 64 GiB of segments, of nothing", "any")
def _(site: Site) -> None:
    journal = JournalBytes(site)
    ring = [
        each if each[0] != "observations/picture" else [each[0], each[1], [40, 30]] for each in journal.header["ring"]
    ]
    header = {**journal.header, "ring": ring, "capacity_rows": 1 << 30, "blob_bytes": 1 << 36, "size_bytes": 0}
    journal.set_word(Control.HEAD, 1 << 29)
    journal.save(header)
    os.truncate(site.beside(".journal"), 1 << 43)


@CASES.case("the journal's segments have 8 GiB of nothing", "any")
def _(site: Site) -> None:
    journal = JournalBytes(site)
    head = journal.word(Control.HEAD)
    ends = journal.column(BLOB_ENDS)
    ends[head - 1 :] = 8 << 30
    del ends
    journal.save({**journal.header, "blob_bytes": 9 << 30, "size_bytes": 0})
    os.truncate(site.beside(".journal"), 16 << 30)


for _share in (0.0, 0.001, 0.004, 0.01, 0.1, 0.5, 0.9, 0.9999):

    @CASES.case(f"{_share:.2%} of a journal", "any", ALSO)
    def _(site: Site, share: float = _share) -> None:
        plant(site, interrupted=True)
        path = site.beside(".journal")
        os.truncate(path, int(path.stat().st_size * share))


@CASES.case("the journal of another recording", "any", ALSO)
def _(site: Site) -> None:
    plant(site, "everything, gzip", interrupted=True)
    journal = site.beside(".journal").read_bytes()
    plant(site)
    site.beside(".journal").write_bytes(journal)


@CASES.case("an interrupted recording with ends that lead nowhere", "any")
def _(site: Site) -> None:
    _damage(site, lambda file: [file[name].__setitem__(slice(None), -5) for name in ENDS])


@CASES.case("an interrupted recording with ends of 2^62", "any")
def _(site: Site) -> None:
    _damage(site, lambda file: [file[name].__setitem__(slice(None), 1 << 62) for name in ENDS])


@CASES.case("an interrupted recording with episodes that lead nowhere", "any")
def _(site: Site) -> None:
    _damage(site, lambda file: file["episodes/starts"].__setitem__(slice(None), (1 << 63) - 1))


@CASES.case("an interrupted recording with lengths that lead nowhere", "any")
def _(site: Site) -> None:
    _damage(site, lambda file: file["episodes/lengths"].__setitem__(slice(None), -(1 << 63)))


@CASES.case("an interrupted recording whose commit is far ahead", "any")
def _(site: Site) -> None:
    _damage(site, lambda file: file["commit"].__setitem__(slice(None), (1 << 40, 1 << 39)))


@CASES.case("an interrupted recording with another text", "any")
def _(site: Site) -> None:
    _damage(site, lambda file: set_text(file, "infos/json", 0, b"[" * 1000))


ENDS = ("observations/text/ends", "infos/json/ends", "exceptions/ends", "episodes/json/ends")


def _damage(site: Site, change: Callable[[h5py.File], Any]) -> None:
    plant(site, interrupted=True)
    clear_write_flags(site.path)
    with h5py.File(site.path, "r+", libver=("v110", "v110")) as file:
        change(file)
