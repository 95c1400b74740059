"""Datasets that are stored elsewhere, or in another way than a recording's, or that claim rows they do not have."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from gym_h5record.storage.hdf5.lookup3 import lookup3_hash
from scripts.fuzz.sites import Site
from tests.hostile.cases import COLUMNS, Cases, edit, fill_outside, plant, replace

__all__ = ["CASES"]

CASES = Cases()


# Elsewhere ------------------------------------------------------------------------------------------


def _external(file: h5py.File, name: str, target: str) -> None:
    old = file[name]
    shape, dtype = old.shape, old.dtype
    del file[name]
    file.create_dataset(name, shape, dtype, external=[(target, 0, h5py.h5f.UNLIMITED)])


for _name in COLUMNS:

    @CASES.case(f"/{_name} is in a file outside")
    def _(site: Site, name: str = _name) -> None:
        with edit(site) as file:
            _external(file, name, str(site.secret_file))


@CASES.case("/rewards is in a file outside, up the tree")
def _(site: Site) -> None:
    with edit(site) as file:
        _external(file, "rewards", "../outside/secret")


@CASES.case("/observations is in a FIFO")
def _(site: Site) -> None:
    os.mkfifo(site.outside / "fifo")
    with edit(site) as file:
        _external(file, "observations/picture", str(site.outside / "fifo"))


@CASES.case("/rewards is in a device")
def _(site: Site) -> None:
    with edit(site) as file:
        _external(file, "rewards", "/dev/zero")


@CASES.case("/rewards is in this very file")
def _(site: Site) -> None:
    with edit(site) as file:
        _external(file, "rewards", str(site.path))


def _virtual(file: h5py.File, name: str, source: str, dataset: str) -> None:
    old = file[name]
    layout = h5py.VirtualLayout(old.shape, old.dtype)
    layout[...] = h5py.VirtualSource(source, dataset, old.shape, old.dtype)
    del file[name]
    file.create_virtual_dataset(name, layout)


for _name in ("observations/picture", "rewards", "commit", "frames", "episodes/starts", "infos/json/values"):

    @CASES.case(f"/{_name} is virtual, of another file")
    def _(site: Site, name: str = _name) -> None:
        other = fill_outside(site)
        with edit(site) as file:
            _virtual(file, name, str(other), name)

    @CASES.case(f"/{_name} is virtual, of itself")
    def _(site: Site, name: str = _name) -> None:
        with edit(site) as file:
            _virtual(file, name, ".", name)


@CASES.case("/rewards is virtual, of many files")
def _(site: Site) -> None:
    other = fill_outside(site)
    for number in range(7):
        os.link(other, site.outside / f"other{number}.h5")
    with edit(site) as file:
        layout = h5py.VirtualLayout((7,), np.float64, (None,))
        source = h5py.VirtualSource(str(site.outside / "other%b.h5"), "rewards", (1,), np.float64, (None,))
        space = source.sel.id
        target = h5py.h5s.create_simple((7,), (h5py.h5s.UNLIMITED,))
        target.select_hyperslab((0,), (h5py.h5s.UNLIMITED,), (1,), (1,))
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        space.select_hyperslab((0,), (1,))
        create.set_virtual(target, source.path.encode(), b"/rewards", space)
        del file["rewards"], layout
        h5py.h5d.create(file.id, b"rewards", h5py.h5t.IEEE_F64LE, target, create)


# In another way -------------------------------------------------------------------------------------


for _name in ("observations/picture", "rewards", "commit", "episodes/starts", "types"):

    @CASES.edited(f"/{_name} is contiguous", expect="harmless")
    def _(file: h5py.File, name: str = _name) -> None:
        replace(file, name, data=file[name][:], chunks=None)

    @CASES.edited(f"/{_name} is compact", expect="harmless")
    def _(file: h5py.File, name: str = _name) -> None:
        old, shape = file[name][:], file[name].shape
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_layout(h5py.h5d.COMPACT)
        del file[name]
        kind = h5py.h5t.py_create(old.dtype, logical=True)
        made = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(shape), create)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, old)


@CASES.edited("chunks that do not hold whole items")
def _(file: h5py.File) -> None:
    replace(file, "observations/picture", data=file["observations/picture"][:], chunks=(4, 10, 30))


@CASES.edited("a chunk of 4 GiB")
def _(file: h5py.File) -> None:
    replace(file, "rewards", chunks=((1 << 29) - 1,), compression="gzip")


@CASES.edited("a chunk of 4 GiB, filled with something")
def _(file: h5py.File) -> None:
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk(((1 << 29) - 1,))
    create.set_fill_value(np.array(7.5))
    del file["rewards"]
    space = h5py.h5s.create_simple((7,), (h5py.h5s.UNLIMITED,))
    h5py.h5d.create(file.id, b"rewards", h5py.h5t.IEEE_F64LE, space, create)


@CASES.edited("32 dimensions")
def _(file: h5py.File) -> None:
    shape = (7, *[2] * 10, *[1] * 21)
    replace(file, "observations/picture", shape=shape, chunks=shape, maxshape=(None, *shape[1:]))


@CASES.edited("an item of 2^40 bytes")
def _(file: h5py.File) -> None:
    shape = (7, 1 << 20, 1 << 20)
    replace(file, "observations/picture", shape=shape, chunks=(1, 1 << 14, 1 << 14), maxshape=(None, *shape[1:]))


@CASES.edited("chunks that were never written and have no fill value")
def _(file: h5py.File) -> None:
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk((512,))
    create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    del file["rewards"]
    space = h5py.h5s.create_simple((7,), (h5py.h5s.UNLIMITED,))
    h5py.h5d.create(file.id, b"rewards", h5py.h5t.IEEE_F64LE, space, create)


# Other types ----------------------------------------------------------------------------------------

TYPES: dict[str, Any] = {
    "floats for booleans": ("terminations", np.float64),
    "integers for booleans": ("dones", np.uint8),
    "integers for floats": ("rewards", np.int64),
    "float32 for float64": ("rewards", np.float32),
    "big-endian floats": ("rewards", ">f8"),
    "big-endian integers in the commit": ("commit", ">i8"),
    "unsigned integers in the index": ("episodes/starts", np.uint64),
    "floats in the commit": ("commit", np.float64),
    "long doubles": ("rewards", np.longdouble),
    "complex numbers": ("rewards", np.complex128),
    "a compound type": ("rewards", [("a", "f8"), ("b", "i4")]),
    "a compound type in the commit": ("commit", [("a", "i8")]),
    "an array type": ("rewards", np.dtype(("f8", (3,)))),
    "opaque bytes": ("observations/text/values", "V1"),
    "fixed strings": ("observations/text/values", "S1"),
    "strings of variable length": ("infos/json/values", h5py.string_dtype()),
    "sequences of variable length": ("observations/picture", h5py.vlen_dtype(np.uint8)),
    "object references": ("actions", h5py.ref_dtype),
    "region references": ("actions", h5py.regionref_dtype),
    "an enumeration": ("actions", h5py.enum_dtype({"LEFT": 0, "RIGHT": 1, "UP": 2}, "i8")),
    "an enumeration of two for numbers": ("types", h5py.enum_dtype({"FALSE": 0, "TRUE": 1}, "u1")),
    "booleans of other names": ("terminations", h5py.enum_dtype({"NO": 0, "YES": 1}, "i1")),
    "booleans the wrong way round": ("terminations", h5py.enum_dtype({"FALSE": 1, "TRUE": 0}, "i1")),
    "booleans of 64 bits": ("terminations", h5py.enum_dtype({"FALSE": 0, "TRUE": 1}, "i8")),
    "strings of 2 GB": ("rewards", "S2000000000"),
    "opaque values of 2 GB": ("rewards", "V2000000000"),
}
for _what, (_name, _type) in TYPES.items():

    @CASES.edited(f"{_what} in /{_name}")
    def _(file: h5py.File, name: str = _name, dtype: Any = _type) -> None:
        rows = len(file[name])
        large = np.dtype(dtype).itemsize > 1 << 20
        replace(file, name, shape=(rows,), dtype=dtype, chunks=(1,) if large else (8,), maxshape=(None,))


@CASES.edited("a compound type 200 deep")
def _(file: h5py.File) -> None:
    kind = np.dtype("f8")
    for _ in range(200):
        kind = np.dtype([("x", kind)])
    replace(file, "rewards", dtype=kind)


def _odd_type(change: Callable[[Any], Any], base: Any) -> Callable[[h5py.File], None]:
    def edit_file(file: h5py.File) -> None:
        kind = base.copy()
        change(kind)
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((512,))
        del file["rewards"]
        space = h5py.h5s.create_simple((7,), (h5py.h5s.UNLIMITED,))
        h5py.h5d.create(file.id, b"rewards", kind, space, create)

    return edit_file


CASES.add_edited(
    "floats of 64 bits of which 20 count", _odd_type(lambda kind: kind.set_precision(20), h5py.h5t.STD_I64LE)
)
CASES.add_edited("floats with an odd bias", _odd_type(lambda kind: kind.set_ebias(7), h5py.h5t.IEEE_F64LE))
CASES.add_edited("integers of 3 bytes", _odd_type(lambda kind: kind.set_size(3), h5py.h5t.STD_I32LE))


@CASES.edited("booleans that are neither")
def _(file: h5py.File) -> None:
    for name in ("terminations", "truncations", "dones", "episodes/complete"):
        count = len(file[name])
        data = np.full(file[name].chunks, 7, np.uint8)
        file[name].id.write_direct_chunk((0,), data.tobytes())
        file[name].resize(count, axis=0)


# Shapes ---------------------------------------------------------------------------------------------

for _name in ("rewards", "commit", "observations/picture", "episodes/starts", "types"):

    @CASES.edited(f"/{_name} is a single value")
    def _(file: h5py.File, name: str = _name) -> None:
        dtype = file[name].dtype
        del file[name]
        file.create_dataset(name, (), dtype)

    @CASES.edited(f"/{_name} has no dataspace")
    def _(file: h5py.File, name: str = _name) -> None:
        dtype = file[name].dtype
        del file[name]
        file[name] = h5py.Empty(dtype)

    @CASES.edited(f"/{_name} has another rank")
    def _(file: h5py.File, name: str = _name) -> None:
        rows, dtype = len(file[name]), file[name].dtype
        replace(file, name, shape=(rows, 2, 2, 2), dtype=dtype, chunks=(rows, 2, 2, 2), maxshape=(None, 2, 2, 2))

    @CASES.edited(f"/{_name} is empty")
    def _(file: h5py.File, name: str = _name) -> None:
        file[name].resize(0, axis=0)


@CASES.edited("a commit of 10,000 numbers", expect="any")
def _(file: h5py.File) -> None:
    values = file["commit"][:]
    replace(file, "commit", data=np.concatenate([values, np.zeros(10**4, np.int64)]), chunks=(2,))


# Claims ---------------------------------------------------------------------------------------------

MANY_CHUNKS = (1 << 32) - 16
"""HDF5 can number this many chunks; to count the stored ones it walks through all numbers."""


def _columns(file: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []

    def add(name: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset) and name != "commit":
            found.append(each)

    file.visititems(add)
    return found


def _claim(dataset: h5py.Dataset) -> int:
    """Give a dataset ``MANY_CHUNKS`` chunks; its rows."""
    rows: int = dataset.chunks[0] * MANY_CHUNKS
    dataset.resize(rows, axis=0)
    return rows


for _name in COLUMNS[:-1]:

    @CASES.edited(f"/{_name} claims 2^32 chunks")
    def _(file: h5py.File, name: str = _name) -> None:
        rows = _claim(file[name])
        file["commit"][0] = rows if "episodes" not in name else 7
        file["commit"][1] = rows if "episodes" in name else 2


@CASES.edited("every column claims 2^32 chunks")
def _(file: h5py.File) -> None:
    rows = min(_claim(each) for each in _columns(file))
    file["commit"][:] = (rows, rows // 2)


@CASES.edited("every column claims 2^32 chunks, and has the last of them")
def _(file: h5py.File) -> None:
    rows = min(_claim(each) for each in _columns(file))
    for each in _columns(file):
        each[rows - 1] = each[0]
    file["commit"][:] = (rows, rows // 2)


@CASES.case("every column had 2^32 chunks once", expect="harmless")
def _(site: Site) -> None:
    plant(site)
    data = bytearray(site.path.read_bytes())
    at = data.find(b"EAHD")
    while at >= 0:  # the header of a chunk index: the highest chunk number that was ever used
        struct.pack_into("<Q", data, at + 44, MANY_CHUNKS)
        struct.pack_into("<I", data, at + 68, lookup3_hash(bytes(data[at : at + 68])))
        at = data.find(b"EAHD", at + 1)
    site.path.write_bytes(data)


@CASES.edited("a million rows that are not stored")
def _(file: h5py.File) -> None:
    for each in _columns(file):
        if not each.name.startswith("/episodes"):
            each.resize(10**6, axis=0)
    file["commit"][0] = 10**6


@CASES.edited("ten million rows that are not stored but for the last")
def _(file: h5py.File) -> None:
    for each in _columns(file):
        if not each.name.startswith("/episodes"):
            each.resize(10**7, axis=0)
            each[10**7 - 1] = each[0]
    file["commit"][0] = 10**7


@CASES.edited("a large recording of zeros, all of them inflated", expect="any")
def _(file: h5py.File) -> None:
    rows = 1 << 21
    for name in ("rewards", "actions", "terminations", "truncations", "dones", "types"):
        old = file[name]
        chunk = (min(1 << 20, (64 << 20) // (old.dtype.itemsize * max(1, old.size // len(old)))), *old.shape[1:])
        replace(file, name, data=np.zeros((rows, *old.shape[1:]), old.dtype), chunks=chunk, compression="gzip")
    for name, dtype in (("starts", "i8"), ("lengths", "i8"), ("returns", "f8"), ("complete", "?")):
        data = np.zeros(rows, dtype)
        replace(file, f"episodes/{name}", data=data, chunks=(1 << 20,), compression="gzip")
    file["commit"][:] = (rows, rows)
