"""Stacks of frames whose schema or whose ends claim what the file does not have."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from scripts.fuzz.sites import Site
from tests.hostile.cases import Cases, edit, edit_json, replace

__all__ = ["CASES"]

CASES = Cases()

Change = Callable[[h5py.File], None]

SUBJECT = "stacks, gzip"
NAME = "observations"


def _add(words: str, change: Change, expect: str = "refused") -> None:
    def make(site: Site) -> None:
        with edit(site, SUBJECT) as file:
            change(file)

    CASES.case(words, expect)(make)


def _schema(**changes: Any) -> Change:
    return lambda file: edit_json(file, "schema", lambda schema: schema["observation"].update(changes))


def _ends(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def apply(file: h5py.File) -> None:
        ends = file[f"{NAME}/earlier/ends"]
        ends[:] = change(ends[:])

    return apply


def _at(row: int, number: int) -> Change:
    return _ends(lambda ends: np.where(np.arange(len(ends)) == row, number, ends))


def _blank_stacks(file: h5py.File, options: dict[str, Any]) -> None:
    """Stacks of 64 frames of 90 KB of zeros, which are a hundred bytes in the file if they are compressed."""
    ends = file[f"{NAME}/earlier/ends"]
    ends[:] = ends[:] // 2 * 63
    blank = zlib.compress(bytes(90_000), 9)
    for name, count in (("newest", len(ends)), ("earlier/values", int(ends[-1]))):
        shape: dict[str, Any] = {"shape": (count, 300, 300), "maxshape": (None, 300, 300), "chunks": (1, 300, 300)}
        dataset = replace(file, f"{NAME}/{name}", **shape, **options)
        for number in range(count if options else 0):
            dataset.id.write_direct_chunk((number, 0, 0), blank)
    edit_json(file, "schema", lambda schema: schema["observation"].update(shape=[64, 300, 300]))


def _inside(kind: str) -> dict[str, Any]:
    """A stack as the item of a list."""
    stack = {"kind": "Stack", "name": f"{NAME}/values", "dtype": "|u1", "shape": [3, 32, 40]}
    items = {"kind": "ListOf", "name": NAME, "item": stack}
    space = {"type": "Sequence", "space": {"type": "Discrete", "dtype": "<i8", "n": 3, "start": 0}, "stack": False}
    return items if kind == "ListOf" else {"kind": "Sequence", "name": NAME, "items": items, "space": space}


for _words, _shape in {
    "one frame": [1, 32, 40],
    "no frame": [0, 32, 40],
    "frames of nothing": [3, 0, 40],
    "a frame less": [2, 32, 40],
    "a frame more": [4, 32, 40],
    "numbers": [3],
    "nothing": [],
    "a million frames": [1_000_000, 32, 40],
    "2^62 frames": [1 << 62, 32, 40],
    "-3 frames": [-3, 32, 40],
    "sixty-four frames of 90 MB": [64, 9_000, 10_000],
}.items():
    _add(
        f"the schema has stacks of {_words}",
        _schema(shape=_shape),
        "any" if _words.startswith("a frame") else "refused",
    )

for _words, _change in {
    "an array": _schema(kind="Array"),
    "a list of stacks": lambda file: edit_json(
        file, "schema", lambda schema: schema.update(observation=_inside("ListOf"))
    ),
    "a sequence of stacks": lambda file: edit_json(
        file, "schema", lambda schema: schema.update(observation=_inside("Sequence"))
    ),
    "stacks as actions": lambda file: edit_json(
        file, "schema", lambda schema: schema.update(action={**schema["observation"], "name": "actions"})
    ),
    "stacks as frames": lambda file: edit_json(
        file, "schema", lambda schema: schema.update(frame={**schema["observation"], "name": "frames"})
    ),
    "stacks that are linked frames": lambda file: edit_json(
        file, "schema", lambda schema: schema.update(linked_frames=True)
    ),
}.items():
    _add(f"the schema has {_words}", _change, "any")

for _words, _change in {
    "go back": _at(3, 1),
    "go back to -1": _at(0, -1),
    "begin at -2^63": _at(0, -(1 << 63)),
    "go back to -2^63": _at(5, -(1 << 63)),
    "leap beyond the frames": _ends(lambda ends: ends + 2),
    "leap to 2^62": _at(7, 1 << 62),
    "leap to the largest number": _ends(lambda ends: np.full_like(ends, (1 << 63) - 1)),
    "leave out the first row": _ends(lambda ends: np.where(np.arange(len(ends)) < 5, 0, ends)),
    "have one frame in a row": _at(2, 3),
    "are all in the first row": _ends(lambda ends: np.full_like(ends, ends[-1])),
    "leap and go back by 2^64": _ends(
        lambda ends: np.where(np.arange(len(ends)) % 2, -(1 << 62) * 2 + 1, (1 << 63) - 1)
    ),
    "are all zero": _ends(np.zeros_like),
}.items():
    _add(f"ends of earlier frames {_words}", _change)

for _words, _options in {"compressed": {"compression": "gzip"}, "not in the file": {}}.items():
    _add(
        f"stacks of 64 frames of 90 KB, {_words}",
        lambda file, options=_options: _blank_stacks(file, options),  # type: ignore[misc]
        "any",
    )
