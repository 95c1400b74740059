"""Journals whose control words or header were changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.journal_rows import BLOB_ENDS, FLAGS
from scripts.fuzz.sites import Site
from tests.hostile.cases import Cases
from tests.hostile.journal_bytes import LAST, PAGE, JournalBytes

CASES = Cases()

ALSO = ("overwrite",)

# Control words --------------------------------------------------------------------------------------

for _word in (
    Control.MAGIC,
    Control.HEADER_BYTES,
    Control.HEAD,
    Control.TAIL,
    Control.BLOB_TAIL,
    Control.COMMITTED_HEAD,
):
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
    **{f"has a size of {each!r}"[:80]: _changed(size_bytes=each) for each in (0, -1, 1 << 40, "x", None, float("nan"))},
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
            None,
            "gzip",
            ["nonsense", None],
            ["gzip", 99],
            ["gzip", "x"],
            ["zstd", 10**9],
            ["szip", ["ec", 8]],
            ["szip", [[], {}]],
            [["gzip"], None],
            ["gzip"],
            [],
            {"name": "gzip"},
            ["blosc", 5],
            [None, None],
        )
    },
    **{
        f"has fps of {each!r}"[:80]: _changed(fps=each)
        for each in (None, "x", [1, 2], {}, float("inf"), -1, 10**400, True, "30")
    },
    **{
        f"has metadata of {each!r}"[:80]: _changed(metadata=each)
        for each in (
            None,
            7,
            "text",
            ["a"],
            {"a": 1},
            {"a": None},
            {"a": ["x", "y"]},
            {"a": {"b": 1}},
            {"": "x"},
            {"a/b": "x"},
            {"\0": "x"},
            {"a": "\0"},
            {"a": "\ud800"},
            {"\ud800": "x"},
            {"\x1b[2J": "\x1b[2J"},
            {"schema": "{}"},
            {"total_steps": "x"},
            {"journal_id": "x"},
            {"n" * 70_000: "x"},
        )
    },
    "has 20,000 pieces of metadata": _changed(metadata={f"a{number}": "x" for number in range(20_000)}),
    "has 100 MB of metadata": _changed(metadata={"user": "x" * (100 << 20)}),
    "replaces the file": _changed(replaces=True),
    "replaces the file, by another journal": _changed(replaces=True, journal_id="0" * 36),
    "creates a file that exists": _changed(creates=True, journal_id="0" * 36),
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
    "has pictures of another shape": _ring(lambda ring: _column(ring, "observations/picture").__setitem__(2, [30, 40])),
    "has pictures of floats": _ring(lambda ring: _column(ring, "observations/picture").__setitem__(1, "<f2")),
    "has a ring of a name twice": _ring(lambda ring: _column(ring, "rewards").__setitem__(0, "terminations")),
    "has a ring of names that are lists": _ring(lambda ring: _column(ring, "rewards").__setitem__(0, ["x"])),
    "has a schema of no infos": _schema(lambda schema: schema.update(infos=None)),
    "has a schema of one text": _schema(
        lambda schema: schema.update(observation={"kind": "Text", "name": "observations"})
    ),
}

for _words, _change in HEADERS.items():
    for _state in ("with its file", "alone"):

        @CASES.case(f"the journal's header {_words}, {_state}", "any", ALSO if _state == "alone" else ())
        def _(site: Site, change: Callable[[Any], Any] = _change, state: str = _state) -> None:
            journal = JournalBytes(site)
            header = change(journal.header)
            if state == "alone":  # repair makes the file from the journal
                site.path.unlink()
                if isinstance(header, dict):
                    header = {**header, "creates": header.get("creates") is not False}
                journal.set_word(Control.TAIL, 0)
                journal.set_word(Control.BLOB_TAIL, 0)
            journal.save(header)
