"""Vector recordings that say something else about their lanes than what they have."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from gym_h5record.writing.journal_rows import CODES, FLAGS
from scripts.fuzz.sites import Site
from tests.hostile.cases import Cases, edit, replace
from tests.hostile.journal_bytes import JournalBytes

__all__ = ["CASES", "attribute", "both", "dataset", "gone", "item", "schema"]

CASES = Cases()

Change = Callable[[h5py.File], object]

SUBJECT = "lanes, gzip"
LANES = 4
LAST = (1 << 63) - 1
ALSO = ("overwrite",)

NUMBERS = {"-1": -1, "0": 0, "2^40": 1 << 40, "2^62": 1 << 62, "the largest there is": LAST, "the smallest": -LAST - 1}

COLUMNS = (
    "observations/picture",
    "observations/text/values",
    "observations/text/ends",
    "actions",
    "rewards",
    "terminations",
    "dones",
    "types",
    "times",
    "exceptions/ends",
    "infos/position",
    "infos/json/ends",
)
"""The datasets that cases attack: one of each kind. All of them have lanes."""
UNREAD = ("times", "exceptions/ends")
"""Those of which reading this recording needs nothing."""


# Ways of changing one -------------------------------------------------------------------------------


def attribute(value: Any) -> Change:
    """Change what the root says."""
    return lambda file: file.attrs.__setitem__("num_envs", value)


def schema(value: Any) -> Change:
    """Change what the schema says."""

    def change(file: h5py.File) -> None:
        content = json.loads(file["metadata"].attrs["schema"])
        content["num_envs"] = value
        file["metadata"].attrs["schema"] = json.dumps(content)

    return change


def both(value: int) -> Change:
    """Change both."""
    return lambda file: (attribute(value)(file), schema(value)(file))


def item(name: str, at: Any, value: Any) -> Change:
    """Change items of a dataset."""
    return lambda file: file[name].__setitem__(at, value)


def dataset(name: str, data: Any, **options: Any) -> Change:
    """Replace a dataset by another one."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=data, **options)

    return change


def gone(name: str) -> Change:
    """Remove a dataset."""
    return lambda file: file.__delitem__(name)


def _add(words: str, change: Change, expect: str = "any") -> None:
    def make(site: Site) -> None:
        with edit(site, SUBJECT) as file:
            change(file)

    CASES.case(f"lanes: {words}", expect)(make)


# How many lanes there are ---------------------------------------------------------------------------

for _value in (0, -1, 1, LANES - 1, LANES + 1, 1 << 14, (1 << 14) + 1, 1 << 40, LAST, "4", 4.0, np.array([4, 4])):
    _add(f"num_envs is {_value!r}", attribute(_value), "refused")
for _value in (None, 0, -1, 1, 3, 5, 1 << 14, 10**30, "4", 4.5, [4], True):
    _add(f"the schema has num_envs {_value!r}", schema(_value), "refused")
for _value in (1, 3, 5, 1 << 14):
    _add(f"num_envs is {_value} everywhere", both(_value), "refused")
_add("num_envs is missing", lambda file: file.attrs.__delitem__("num_envs"), "refused")


@CASES.case("lanes: all 16,384 of them, of which the file has a commit", "refused")
def _(site: Site) -> None:
    with edit(site, SUBJECT) as file:
        both(1 << 14)(file)
        dataset("commit", np.ones((1 << 14) + 1, np.int64), maxshape=(None,))(file)
        dataset("positions", np.zeros((1 << 14) + 4, np.int64), maxshape=(None,))(file)


@CASES.case("lanes: 16,384 of them in every column, of which nothing is stored", "any")
def _(site: Site) -> None:
    with edit(site, SUBJECT) as file:
        both(1 << 14)(file)
        dataset("commit", np.append(np.full(1 << 14, 1 << 20), 0), maxshape=(None,))(file)
        dataset("positions", np.zeros((1 << 14) + 4, np.int64), maxshape=(None,))(file)
        names: list[str] = []
        file.visititems(lambda name, each: names.append(name) if getattr(each, "shape", (0,))[1:2] == (4,) else None)
        for name in names:
            old = file[name]
            shape = (1 << 20, 1 << 14, *old.shape[2:])
            replace(file, name, shape=shape, maxshape=(None, *shape[1:]), chunks=(8, 1, *old.shape[2:]))


# /commit, /positions and /episodes ------------------------------------------------------------------

for _name in ("commit", "positions"):
    for _count in (0, 1, 2, 3, LANES, LANES + 2, 2 * LANES + 4, 1 << 20):
        _expect = "refused" if _name == "commit" else "any"
        _add(f"/{_name} has {_count} numbers", dataset(_name, np.ones(_count, np.int64), maxshape=(None,)), _expect)
    _add(f"/{_name} has two axes", dataset(_name, np.ones((LANES + 1, 2), np.int64)))
    _add(f"/{_name} has floats", dataset(_name, np.ones(LANES + 1)))
    _add(f"/{_name} is missing", gone(_name))
    for _words, _value in NUMBERS.items():
        _add(f"the first number of /{_name} is {_words}", item(_name, 0, _value))
        _add(f"the last number of /{_name} is {_words}", item(_name, -1, _value))
        _add(f"all numbers of /{_name} are {_words}", item(_name, slice(None), _value))
_add("/commit has a lane that is far ahead", item("commit", 2, 1000), "refused")
_add("/commit has a lane without rows", item("commit", 1, 0), "refused")
_add("/commit has no episodes", item("commit", LANES, 0))
_add("/commit claims rows whose sum overflows", item("commit", slice(0, LANES), 1 << 62), "refused")

for _words, _value in {**NUMBERS, "4": 4, "3": 3}.items():
    _add(f"an episode is of lane {_words}", item("episodes/envs", 1, _value))
    _add(f"all episodes are of lane {_words}", item("episodes/envs", slice(None), _value))
for _words, _value in NUMBERS.items():
    for _name in ("starts", "lengths"):
        _add(f"one of /episodes/{_name} is {_words}", item(f"episodes/{_name}", 2, _value))
        _add(f"all of /episodes/{_name} are {_words}", item(f"episodes/{_name}", slice(None), _value))
_add("/episodes/envs is missing", gone("episodes/envs"), "refused")
_add("/episodes/envs has two items", dataset("episodes/envs", np.zeros(2, np.int64), maxshape=(None,)), "refused")
_add("/episodes/envs has floats", dataset("episodes/envs", np.zeros(40), maxshape=(None,)), "refused")
_add(
    "/episodes/envs is the other way round",
    lambda file: item("episodes/envs", ..., file["episodes/envs"][:][::-1])(file),
)


# Lane axes ------------------------------------------------------------------------------------------


def _other_axis(name: str, count: int | None) -> Change:
    """The same rows with another number of lanes, or without an axis for them."""

    def change(file: h5py.File) -> None:
        data = file[name][:]
        if count is None:
            data = data[:, 0]
        else:
            lanes = np.arange(count) % LANES
            data = data[:, lanes] if count else data[:, :0]
        chunks = None if not data.size else (*np.minimum(data.shape, 8),)
        dataset(name, data, maxshape=(None, *data.shape[1:]) if chunks else data.shape, chunks=chunks)(file)

    return change


def _wide(name: str) -> Change:
    def change(file: h5py.File) -> None:
        shape = (len(file[name]), 1 << 20, *file[name].shape[2:])
        replace(file, name, shape=shape, maxshape=(None, *shape[1:]), chunks=(1, 1, *shape[2:]))

    return change


def _chunked(name: str, rows: int, lanes: int, **options: Any) -> Change:
    """The same items in other chunks, which may hold a part of the lanes."""

    def change(file: h5py.File) -> None:
        old = file[name]
        replace(file, name, data=old[:], chunks=(rows, lanes, *old.shape[2:]), **options)

    return change


for _name in COLUMNS:
    _expect = "any" if _name in UNREAD else "refused"
    for _count in (0, 1, LANES - 1, LANES + 1, 77):
        _add(f"/{_name} has {_count} lanes", _other_axis(_name, _count), _expect)
    _add(f"/{_name} has no lanes", _other_axis(_name, None), _expect)
    _add(f"/{_name} has 2^20 lanes, of which nothing is stored", _wide(_name), _expect)
    for _rows, _lanes in ((1, 1), (2, 2), (3, 3), (1, 4), (64, 3)):
        _add(f"/{_name} has chunks of {_rows} rows of {_lanes} lanes", _chunked(_name, _rows, _lanes))
        _add(
            f"/{_name} has compressed chunks of {_rows} rows of {_lanes} lanes",
            _chunked(_name, _rows, _lanes, compression="gzip"),
        )
    _add(f"/{_name} has no chunks", lambda file, name=_name: replace(file, name, data=file[name][:], chunks=None))
    _add(f"/{_name} has rows for one lane only", lambda file, name=_name: file[name].resize(1, axis=0))

for _name in ("observations/text/ends", "infos/json/ends", "exceptions/ends"):
    for _words, _value in NUMBERS.items():
        _add(f"/{_name} of one lane are {_words}", item(_name, (slice(None), 1), _value))
        _add(f"the last of /{_name} is {_words}", item(_name, (-1, LANES - 1), _value))
    _add(f"/{_name} decrease", lambda file, name=_name: item(name, ..., file[name][:][::-1])(file))


# Journals -------------------------------------------------------------------------------------------


def _journal(words: str, change: Callable[[JournalBytes], Any]) -> None:
    @CASES.case(f"lanes, interrupted: {words}", "any", ALSO)
    def _(site: Site) -> None:
        journal = JournalBytes(site, SUBJECT)
        journal.save(change(journal))


def _filled(name: str, value: int, lane: int | None = None) -> Callable[[JournalBytes], None]:
    def change(journal: JournalBytes) -> None:
        journal.column(name)[:, slice(None) if lane is None else lane] = value

    return change


def _reshaped(name: str, *shape: int) -> Callable[[JournalBytes], Any]:
    def change(journal: JournalBytes) -> Any:
        ring = [[each, dtype, [*shape] if each == name else old] for each, dtype, old in journal.header["ring"]]
        return {**journal.header, "ring": ring}

    return change


def _with_schema(value: Any) -> Callable[[JournalBytes], Any]:
    def change(journal: JournalBytes) -> Any:
        return {**journal.header, "schema": json.dumps({**json.loads(journal.header["schema"]), "num_envs": value})}

    return change


for _value in (0, 1, 2, 4, 5, 8, 16, 255):
    _journal(f"every flag is {_value}", _filled(FLAGS, _value))
    _journal(f"every flag of one lane is {_value}", _filled(FLAGS, _value, 1))
for _value in (0, 5, 99, 254):
    _journal(f"every code is {_value}", _filled(CODES, _value))
for _shape in ((), (0,), (1,), (3,), (5,), (4, 4)):
    _journal(f"the flags have the shape {_shape}", _reshaped(FLAGS, *_shape))
    _journal(f"the rewards have the shape {_shape}", _reshaped("rewards", *_shape))
for _value in (None, 0, 3, 5, 1 << 14):
    _journal(f"its schema has num_envs {_value}", _with_schema(_value))


@CASES.case("lanes, interrupted: the journal is that of a single environment", "any", ALSO)
def _(site: Site) -> None:
    JournalBytes(site).save()
    journal = site.beside(".journal").read_bytes()
    JournalBytes(site, SUBJECT).save()
    site.beside(".journal").write_bytes(journal)
