"""Journals of recordings that were interrupted, changed by a stranger."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from gym_h5record.journal import BLOB_ENDS, FLAGS, Control
from scripts.fuzz.sites import Site
from tests.hostile.cases import Cases, plant, set_text

__all__ = ["CASES"]

CASES = Cases()

PAGE = 4096
HEADER_AT = 2 * PAGE
LAST = (1 << 64) - 1
ALSO = ("overwrite",)


class JournalBytes:
    """The journal of an interrupted recording, to be changed byte by byte."""

    def __init__(self, site: Site) -> None:
        plant(site, interrupted=True)
        self._path = site.beside(".journal")
        self.data = bytearray(self._path.read_bytes())
        self._header_bytes = self.word(Control.HEADER_BYTES)
        self.header: dict[str, Any] = json.loads(self.data[HEADER_AT : HEADER_AT + self._header_bytes])

    def word(self, number: int) -> int:
        """A control word."""
        value: int = struct.unpack_from("<Q", self.data, 8 * number)[0]
        return value

    def set_word(self, number: int, value: int) -> None:
        """Change a control word."""
        struct.pack_into("<Q", self.data, 8 * number, value & LAST)

    def column(self, name: str) -> np.ndarray:
        """A column of the ring, to be written to."""
        at = HEADER_AT + -(-self._header_bytes // PAGE) * PAGE
        for each, dtype, shape in self.header["ring"]:
            count = self.header["capacity_rows"] * math.prod(shape)
            size = count * np.dtype(dtype).itemsize
            if each == name:
                found = np.frombuffer(memoryview(self.data)[at : at + size], dtype)
                return found.reshape(self.header["capacity_rows"], *shape)
            at = -(-(at + size) // 64) * 64
        raise KeyError(name)

    @property
    def blob_at(self) -> int:
        """Where the ring of segments begins."""
        at = HEADER_AT + -(-self._header_bytes // PAGE) * PAGE
        for _, dtype, shape in self.header["ring"]:
            at += self.header["capacity_rows"] * math.prod(shape) * np.dtype(dtype).itemsize
            at = -(-at // 64) * 64
        return at

    def save(self, header: Any = None) -> None:
        """Write it; with another header if there is one."""
        if header is not None:
            text = (header if isinstance(header, bytes) else json.dumps(header).encode()).ljust(self._header_bytes)
            self.data[HEADER_AT : HEADER_AT + len(text)] = text
            self.set_word(Control.HEADER_BYTES, len(text))
        self._path.write_bytes(self.data)


# Control words --------------------------------------------------------------------------------------

for _word in (Control.MAGIC, Control.HEADER_BYTES, Control.HEAD, Control.TAIL, Control.BLOB_TAIL, Control.COMMITTED_HEAD):
    for _value in (0, 1, 7, 1 << 32, 1 << 62, 1 << 63, LAST):

        @CASES.case(f"the journal's {_word.name} is {_value}", "any", ALSO)
        def _(site: Site, word: int = _word, value: int = _value) -> None:
            journal = JournalBytes(site)
            journal.set_word(word, value)
            journal.save()


@CASES.case("every word of the journal is something else", "any", ALSO)
def _(site: Site) -> None:
    journal = JournalBytes(site)
    for word in range(1, PAGE // 8):
        journal.set_word(word, word * 0x0123456789ABCDEF)
    journal.save()


@CASES.case("the tail and the head of the journal are far away", "any")
def _(site: Site) -> None:
    journal = JournalBytes(site)
    for word in (Control.HEAD, Control.TAIL):
        journal.set_word(word, (1 << 62) - 1)
    journal.save()


# Headers --------------------------------------------------------------------------------------------


def _changed(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda header: {**header, **changes}


def _ring(change: Callable[[list[Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def changed(header: dict[str, Any]) -> dict[str, Any]:
        ring = json.loads(json.dumps(header["ring"]))
        result = change(ring)
        return {**header, "ring": ring if result is None else result}

    return changed


def _schema(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def changed(header: dict[str, Any]) -> dict[str, Any]:
        schema = json.loads(header["schema"])
        change(schema)
        return {**header, "schema": json.dumps(schema)}

    return changed


def _column(ring: list[Any], name: str) -> list[Any]:
    found: list[Any] = next(each for each in ring if each[0] == name)
    return found


HEADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "is a list": lambda header: [header],
    "is a number": lambda header: 7,
    "is null": lambda header: None,
    "is empty": lambda header: {},
    "is nested 100,000 deep": lambda header: b"[" * 100_000 + b"]" * 100_000,
    "is not JSON": lambda header: b"{nonsense",
    "is not UTF-8": lambda header: b'{"a": "\xff"}',
    **{
        f"has a capacity of {each!r}"[:80]: _changed(capacity_rows=each)
        for each in (0, -1, 1, 3, 1 << 30, 1 << 62, 2.5, "8", None, [], float("inf"), 10**400)
    },
    **{
        f"has {each!r} bytes of segments"[:80]: _changed(blob_bytes=each)
        for each in (0, -1, 1, 64, 1 << 40, 1 << 70, "100000", None, 1e300)
    },
    **{
        f"has a size of {each!r}"[:80]: _changed(size_bytes=each) for each in (0, -1, 1 << 40, "x", None, float("nan"))
    },
    **{
        f"has a first row of {each!r}"[:80]: _changed(first_row=each)
        for each in (-1, 1, 3, 1 << 40, 1 << 70, "0", None, 0.5, True, [])
    },
    **{
        f"has a journal id of {each!r}"[:80]: _changed(journal_id=each)
        for each in (None, 7, 10**10, 1 << 70, "", "x" * 100_000, "\x1b[2J", "\0", ["a"], {"a": 1}, True, "\ud800")
    },
    **{
        f"has a codec of {each!r}"[:80]: _changed(codec=each)
        for each in (
            None, "gzip", ["nonsense", None], ["gzip", 99], ["gzip", "x"], ["zstd", 10**9], ["szip", ["ec", 8]],
            ["szip", [[], {}]], [["gzip"], None], ["gzip"], [], {"name": "gzip"}, ["blosc", 5], [None, None],
        )
    },
    **{
        f"has fps of {each!r}"[:80]: _changed(fps=each)
        for each in (None, "x", [1, 2], {}, float("inf"), -1, 10**400, True, "30")
    },
    **{
        f"has metadata of {each!r}"[:80]: _changed(metadata=each)
        for each in (
            None, 7, "text", ["a"], {"a": 1}, {"a": None}, {"a": ["x", "y"]}, {"a": {"b": 1}}, {"": "x"},
            {"a/b": "x"}, {"\0": "x"}, {"a": "\0"}, {"a": "\ud800"}, {"\ud800": "x"}, {"\x1b[2J": "\x1b[2J"},
            {"schema": "{}"}, {"total_steps": "x"}, {"journal_id": "x"}, {"n" * 70_000: "x"},
        )
    },
    "has 20,000 pieces of metadata": _changed(metadata={f"a{number}": "x" for number in range(20_000)}),
    "has 100 MB of metadata": _changed(metadata={"user": "x" * (100 << 20)}),
    "replaces what is there": _changed(replaces=True),
    "replaces what is there, by another journal": _changed(replaces=True, journal_id="0" * 36),
    "creates what is there": _changed(creates=True, journal_id="0" * 36),
    "creates nothing": _changed(creates=False, journal_id="0" * 36),
    "creates and replaces something odd": _changed(creates="\x1b", replaces=[1], journal_id="0" * 36),
    "has a schema of another recording": _changed(schema="{}"),
    "has no schema": _changed(schema=None),
    "has a schema that is deep": _changed(schema="[" * 100_000),
    "has a durability that there is not": _changed(durability="\x1b[2J"),
    "has power durability": _changed(durability="power"),
    "has a boot that was not": _changed(boot_id="\x1b[2J", durability="power"),
    "has an odd interval": _changed(flush_interval_s="x"),
    "has odd checksums": _changed(checksums="x", checksum="x"),
    "has no ring": _changed(ring=[]),
    "has a ring of null": _changed(ring=None),
    "has a ring of numbers": _changed(ring=[1, 2, 3]),
    "has a ring of a million columns": _changed(ring=[["x", "|u1", [0]]] * 10**6),
    "has a ring without rewards": _ring(lambda ring: [each for each in ring if each[0] != "rewards"]),
    "has a ring without flags": _ring(lambda ring: [each for each in ring if each[0] != FLAGS]),
    "has a ring without ends": _ring(lambda ring: [each for each in ring if each[0] != BLOB_ENDS]),
    "has a ring without codes": _ring(lambda ring: [each for each in ring if each[0] != "journal/codes"]),
    "has a ring the wrong way round": _ring(lambda ring: ring[::-1]),
    "has rewards of text": _ring(lambda ring: _column(ring, "rewards").__setitem__(1, "<U2")),
    "has rewards of objects": _ring(lambda ring: _column(ring, "rewards").__setitem__(1, "|O")),
    "has rewards of integers": _ring(lambda ring: _column(ring, "rewards").__setitem__(1, "<i8")),
    "has rewards of bytes": _ring(lambda ring: _column(ring, "rewards").__setitem__(1, "|u1")),
    "has rewards of dates": _ring(lambda ring: _column(ring, "rewards").__setitem__(1, "<M8[s]")),
    "has rewards of structs": _ring(lambda ring: _column(ring, "rewards").__setitem__(1, "f4,f4")),
    "has rewards of void": _ring(lambda ring: _column(ring, "rewards").__setitem__(1, "V8")),
    "has rewards of pairs": _ring(lambda ring: _column(ring, "rewards").__setitem__(2, [2])),
    "has rewards of nothing": _ring(lambda ring: _column(ring, "rewards").__setitem__(2, [0])),
    "has rewards of a negative shape": _ring(lambda ring: _column(ring, "rewards").__setitem__(2, [-1])),
    "has rewards of a huge shape": _ring(lambda ring: _column(ring, "rewards").__setitem__(2, [1 << 40])),
    "has rewards of a huge shape of nothing": _ring(lambda ring: _column(ring, "rewards").__setitem__(2, [1 << 40, 0])),
    "has rewards of a shape of text": _ring(lambda ring: _column(ring, "rewards").__setitem__(2, "x")),
    "has flags of floats": _ring(lambda ring: _column(ring, FLAGS).__setitem__(1, "<f8")),
    "has ends of floats": _ring(lambda ring: _column(ring, BLOB_ENDS).__setitem__(1, "<f8")),
    "has ends of signed numbers": _ring(lambda ring: _column(ring, BLOB_ENDS).__setitem__(1, "<i8")),
    "has ends of pairs": _ring(lambda ring: _column(ring, BLOB_ENDS).__setitem__(2, [1])),
    "has one code": _ring(lambda ring: _column(ring, "journal/codes").__setitem__(2, [1])),
    "has no codes": _ring(lambda ring: _column(ring, "journal/codes").__setitem__(2, [0])),
    "has pictures of another shape": _ring(
        lambda ring: _column(ring, "observations/picture").__setitem__(2, [30, 40])
    ),
    "has pictures of floats": _ring(lambda ring: _column(ring, "observations/picture").__setitem__(1, "<f2")),
    "has a ring of a name twice": _ring(lambda ring: _column(ring, "rewards").__setitem__(0, "terminations")),
    "has a ring of names that are lists": _ring(lambda ring: _column(ring, "rewards").__setitem__(0, ["x"])),
    "has a schema of no infos": _schema(lambda schema: schema.update(infos=None)),
    "has a schema of one text": _schema(lambda schema: schema.update(observation={"kind": "Text", "name": "observations"})),
}

for _words, _change in HEADERS.items():
    for _state in ("with its file", "alone"):

        @CASES.case(f"the journal's header {_words}, {_state}", "any", ALSO if _state == "alone" else ())
        def _(site: Site, change: Callable[[Any], Any] = _change, state: str = _state) -> None:
            journal = JournalBytes(site)
            header = change(journal.header)
            if state == "alone":  # what would be made from it
                site.path.unlink()
                if isinstance(header, dict):
                    header = {**header, "creates": header.get("creates") is not False}
                journal.set_word(Control.TAIL, 0)
                journal.set_word(Control.BLOB_TAIL, 0)
            journal.save(header)


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
            _, size = struct.unpack_from("<IQ", data, at)
            if not size or at + size > len(data):
                return
            struct.pack_into("<I", data, at, number)
            at += 12 + size

    return change


def _each_segment(replace: Callable[[bytes], bytes]) -> Callable[[bytearray, int], None]:
    def change(data: bytearray, at: int) -> None:
        while True:
            _, size = struct.unpack_from("<IQ", data, at)
            if not size or at + size > len(data):
                return
            content = bytes(data[at + 12 : at + 12 + size])
            data[at + 12 : at + 12 + size] = replace(content).ljust(size)[:size]
            at += 12 + size

    return change


for _number in (0, 1, 2, 3, 5, 77, 0xFFFF0000, 0xFFFF0001, 0xFFFF0002, 0xFFFF0003, 0xFFFFFFFF):
    CASES.case(f"all segments have the number {_number:#x}", "any")(_segments(_renumber(_number)))
for _size in (0, 1, 1 << 20, 1 << 40, LAST):
    CASES.case(f"the first segment has {_size} bytes", "any")(
        _segments(lambda data, at, size=_size: struct.pack_into("<Q", data, at + 4, size))
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
    ring = [each if each[0] != "observations/picture" else [each[0], each[1], [40, 30]] for each in journal.header["ring"]]
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
    from gym_h5record.superblock import clear_write_flags

    plant(site, interrupted=True)
    clear_write_flags(site.path)
    with h5py.File(site.path, "r+", libver=("v110", "v110")) as file:
        change(file)
