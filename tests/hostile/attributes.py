"""Attributes that are too large, too many, or of an unexpected kind."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from scripts.fuzz.sites import Site
from tests.hostile.cases import Cases, edit, plant

__all__ = ["CASES"]

CASES = Cases()

LARGE = 50 << 20
TEXTS = ("schema", "user", "observation_space", "compression", "run_id")


def _put(owner: Any, name: str, value: Any, kind: Any = None) -> None:
    if name in owner.attrs:
        del owner.attrs[name]
    owner.attrs.create(name, value, dtype=kind)


def _put_raw(owner: Any, name: str, kind: Any, space: Any, data: Any) -> None:
    if name in owner.attrs:
        del owner.attrs[name]
    made = h5py.h5a.create(owner.id, name.encode(), kind, space)
    made.write(data, kind)


for _name in TEXTS:

    @CASES.edited(f"{_name} has 50 MB (variable)")
    def _(file: h5py.File, name: str = _name) -> None:
        _put(file["metadata"], name, "[" * LARGE)

    @CASES.edited(f"{_name} has 50 MB (fixed)")
    def _(file: h5py.File, name: str = _name) -> None:
        _put(file["metadata"], name, np.bytes_(b"[" * LARGE))

    @CASES.edited(f"{_name} is missing", expect="refused" if _name == "schema" else "any")
    def _(file: h5py.File, name: str = _name) -> None:
        del file["metadata"].attrs[name]


@CASES.edited("format has 50 MB")
def _(file: h5py.File) -> None:
    _put(file, "format", "gym_h5record" + " " * LARGE)


@CASES.edited("four attributes of 30 MB each", expect="harmless")
def _(file: h5py.File) -> None:
    for number in range(4):
        _put(file["metadata"], f"a{number}", "[" * (30 << 20))


@CASES.case("200 attributes that share a text of 30 MB")
def _(site: Site) -> None:
    plant(site)
    size = 30 << 20
    with h5py.File(site.path, "r+", libver="earliest") as file:
        del file["metadata"]
        group = file.create_group("metadata")
        for number in range(200):
            group.attrs[f"a{number:03}"] = f"{number:03}"
        group.attrs["zz"] = "y" * size
    data = bytearray(site.path.read_bytes())
    at = data.find(struct.pack("<I", size))
    reference = bytes(data[at : at + 16])
    start = 0
    for number in range(200):
        name = f"a{number:03}".encode()
        start = data.find(name + b"\0", start)
        found = data.find(struct.pack("<I", 3), start, start + 200)
        if found > 0:
            data[found : found + 16] = reference
    site.path.write_bytes(data)


@CASES.edited("10,000 attributes of metadata", expect="any")
def _(file: h5py.File) -> None:
    for number in range(10_000):
        file["metadata"].attrs[f"a{number}"] = number


@CASES.edited("10,000 attributes of the root", expect="harmless")
def _(file: h5py.File) -> None:
    for number in range(10_000):
        file.attrs[f"a{number}"] = number


def _put_sequence(owner: Any, name: str) -> None:
    if name in owner.attrs:
        del owner.attrs[name]
    sequence = np.empty((), h5py.vlen_dtype(np.int32))
    sequence[()] = np.array([1, 2], np.int32)
    kind, space = h5py.h5t.vlen_create(h5py.h5t.STD_I32LE), h5py.h5s.create(h5py.h5s.SCALAR)
    h5py.h5a.create(owner.id, name.encode(), kind, space).write(sequence)  # h5py finds its type in memory


KINDS: dict[str, Callable[[Any, str], None]] = {
    "an array of texts": lambda owner, name: _put(owner, name, ["{}", "{}"]),
    "an array of one text": lambda owner, name: _put(owner, name, ["{}"]),
    "an array of numbers": lambda owner, name: _put(owner, name, np.zeros((100, 100))),
    "nothing": lambda owner, name: _put(owner, name, h5py.Empty("S1")),
    "a number": lambda owner, name: _put(owner, name, 7),
    "not a number": lambda owner, name: _put(owner, name, float("nan")),
    "a boolean": lambda owner, name: _put(owner, name, np.True_),
    "a reference": lambda owner, name: _put(owner, name, owner.ref, h5py.ref_dtype),
    "a compound": lambda owner, name: _put(owner, name, np.zeros((), [("a", "f8"), ("b", "S3")])),
    "opaque": lambda owner, name: _put(owner, name, np.void(b"\x80\x04cos\nsystem\n")),
    "a sequence of variable length": _put_sequence,
    "an enumeration": lambda owner, name: _put(owner, name, 1, h5py.enum_dtype({"A": 0, "B": 1}, "i4")),
    "an empty text": lambda owner, name: _put(owner, name, ""),
    "not UTF-8": lambda owner, name: _put(owner, name, np.bytes_(b"\xff\xfe{}\xc3")),
    "not UTF-8 but says so": lambda owner, name: _put_raw(
        owner,
        name,
        h5py.h5t.py_create(h5py.string_dtype("utf-8", 4)),
        h5py.h5s.create(h5py.h5s.SCALAR),
        np.array(b"\xff\xc3\x1b[", "S4"),
    ),
    "null": lambda owner, name: _put(owner, name, "null"),
    "a JSON number": lambda owner, name: _put(owner, name, "1e999"),
    "a JSON text": lambda owner, name: _put(owner, name, '"text"'),
    "a JSON list": lambda owner, name: _put(owner, name, "[[[]], 1, null]"),
    "an empty JSON object": lambda owner, name: _put(owner, name, "{}"),
    "a number of 10,000 digits": lambda owner, name: _put(owner, name, "9" * 10_000),
    "NaN": lambda owner, name: _put(owner, name, '{"a": NaN, "b": -Infinity}'),
    "half a surrogate": lambda owner, name: _put(owner, name, '{"a": "\\ud800\\udc00\\ud800", "\\udfff": 1}'),
    "escape codes": lambda owner, name: _put(owner, name, "\x1b[2J\x1b]0;pwned\x07\r\u202e\u2028 \x9b31m"),
    "escape codes in JSON": lambda owner, name: _put(owner, name, '{"\\u001b[2J": "\\u001b[31m\\r\\u202e\\u009b"}'),
}
NAMES = (
    "schema",
    "user",
    "observation_space",
    "versions",
    "env_wrappers",
    "env_spec",
    "compression",
    "journal_id",
    "frames",
    "env_name",
)

for _kind in KINDS:
    for _name in NAMES:

        @CASES.edited(f"{_name} is {_kind}", expect="any")
        def _(file: h5py.File, kind: str = _kind, name: str = _name) -> None:
            KINDS[kind](file["metadata"], name)

    for _name in ("format", "format_version", "fps"):

        @CASES.edited(f"{_name} is {_kind}", expect="any")
        def _(file: h5py.File, kind: str = _kind, name: str = _name) -> None:
            KINDS[kind](file, name)


for _name in (
    "platform",
    "env_class",
    "run_id",
    "created_at",
    "rom_md5",
    "env_spec_problem",
    "render_mode",
    "total_steps",
):
    for _kind in ("a number", "an array of texts", "null", "a JSON list", "escape codes", "a JSON text"):

        @CASES.edited(f"{_name} is {_kind}", expect="any")
        def _(file: h5py.File, kind: str = _kind, name: str = _name) -> None:
            KINDS[kind](file["metadata"], name)


@CASES.edited("an attribute whose name drives a terminal", expect="any")
def _(file: h5py.File) -> None:
    file["metadata"].attrs["\x1b[2J\x1b[31m"] = "a"


@CASES.edited("an attribute whose name is not UTF-8", expect="any")
def _(file: h5py.File) -> None:
    h5py.h5a.create(file["metadata"].id, b"\xff\xfe\xc3", h5py.h5t.STD_I32LE, h5py.h5s.create(h5py.h5s.SCALAR))


@CASES.edited("an attribute whose name has 60,000 characters", expect="any")
def _(file: h5py.File) -> None:
    file["metadata"].attrs["n" * 60_000] = "a"


for _version in (0, 2, -1, 1 << 62):

    @CASES.edited(f"format_version is {_version}")
    def _(file: h5py.File, version: int = _version) -> None:
        file.attrs["format_version"] = version


for _fps in (float("nan"), float("inf"), -1.0, 0.0, 1e300, 5e-324):

    @CASES.edited(f"fps is {_fps}", expect="any", also=("cli replay --gif NEW.gif --png NEW.png",))
    def _(file: h5py.File, fps: float = _fps) -> None:
        file.attrs["fps"] = fps


@CASES.case("a text of variable length that says it is longer than it is")
def _(site: Site) -> None:
    _resize_text(site, 5000, 6000)


@CASES.case("a text of variable length that says it is shorter than it is")
def _(site: Site) -> None:
    _resize_text(site, 5000, 10)


@CASES.case("a text of variable length that says it has 4 GiB")
def _(site: Site) -> None:
    _resize_text(site, 5000, 0xFFFFFFFF)


def _resize_text(site: Site, size: int, said: int) -> None:
    with edit(site):
        pass
    with h5py.File(site.path, "r+", libver="earliest") as file:
        schema = dict(file["metadata"].attrs)
        del file["metadata"]
        file.create_group("metadata")
        for name, value in schema.items():
            file["metadata"].attrs[name] = value
        file["metadata"].attrs["env_name"] = "x" * size
    data = bytearray(site.path.read_bytes())
    at = data.find(struct.pack("<I", size) + b"")
    while at >= 0:
        data[at : at + 4] = struct.pack("<I", said)
        at = data.find(struct.pack("<I", size), at + 4)
    site.path.write_bytes(data)
