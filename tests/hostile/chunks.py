"""Chunks that inflate to a wrong size or not at all, and filters that no recording has."""

from __future__ import annotations

import importlib.util
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gym_h5record.storage.hdf5.codecs import make_codec
from scripts.fuzz.sites import Site
from tests.hostile.cases import Cases, edit, edit_json

__all__ = ["CASES", "plugin_path"]

CASES = Cases()

COMPRESSIONS = ("gzip", "zstd", "lz4", "lzf", "szip", None)
PICTURE = "observations/picture"
ZEROS = 100 << 20


def plugin_path() -> str | None:
    """The directory of hdf5plugin's filters, which HDF5 could load for a file; None if it is not installed."""
    found = importlib.util.find_spec("hdf5plugin")
    return None if found is None or found.origin is None else str(Path(found.origin).parent / "plugins")


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    return int(np.prod(dataset.chunks)) * dataset.dtype.itemsize


def _stored(dataset: h5py.Dataset) -> bytes:
    _, data = dataset.id.read_direct_chunk((0,) * dataset.ndim)
    return bytes(data)


def _store(dataset: h5py.Dataset, data: bytes, mask: int = 0) -> None:
    dataset.id.write_direct_chunk((0,) * dataset.ndim, data, filter_mask=mask)


# Takes the stored bytes of a chunk and the size of the chunk; returns the bytes to store in their place.
Damage = Callable[[bytes, int], bytes]

DAMAGES: dict[str, Damage] = {
    "one byte": lambda data, size: data[:1],
    "half of it": lambda data, size: data[: len(data) // 2],
    "all but a byte": lambda data, size: data[:-1],
    "zeros": lambda data, size: bytes(len(data)),
    "noise": lambda data, size: np.random.default_rng(0).bytes(len(data)),
    "noise behind its head": lambda data, size: data[:8] + np.random.default_rng(0).bytes(len(data) - 8),
    "a head and no more": lambda data, size: data[:8],
}
HARMLESS = {("szip", "all but a byte"), ("lzf", "zeros")}


def _add_damage(compression: str | None, what: str) -> None:
    def make(site: Site) -> None:
        with edit(site, compression=compression) as file:
            dataset = file[PICTURE]
            _store(dataset, DAMAGES[what](_stored(dataset), _chunk_bytes(dataset)))

    CASES.case(f"a chunk is {what} ({compression})", expect="any" if (compression, what) in HARMLESS else "refused")(
        make
    )


for _compression in COMPRESSIONS[:-1]:
    for _what in DAMAGES:
        _add_damage(_compression, _what)


def _resized(compression: str, change: Callable[[int], int]) -> Callable[[h5py.File], None]:
    """A chunk that inflates to another size than that of the dataset's chunks."""
    encode = make_codec(compression).encode

    def change_file(file: h5py.File) -> None:
        dataset = file[PICTURE]
        assert encode is not None
        data = encode(np.zeros(change(_chunk_bytes(dataset)), np.uint8).tobytes())
        shape, maxshape, chunks = dataset.shape, dataset.maxshape, dataset.chunks
        del file[PICTURE]
        codec = make_codec(compression)
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk(chunks)
        create.set_filter(codec.filter_id, h5py.h5z.FLAG_OPTIONAL, codec.filter_values)
        space = h5py.h5s.create_simple(shape, (h5py.h5s.UNLIMITED, *maxshape[1:]))
        made = h5py.h5d.create(file.id, PICTURE.encode(), h5py.h5t.STD_U8LE, space, create)
        made.write_direct_chunk((0, 0, 0), data)

    return change_file


for _compression in ("gzip", "zstd", "lz4"):
    for _words, _change in (
        ("a byte less than it should", lambda size: size - 1),
        ("a byte more than it should", lambda size: size + 1),
        ("nothing", lambda size: 0),
        ("twice what it should", lambda size: 2 * size),
        ("a quarter of a gigabyte", lambda size: 1 << 28),
    ):
        CASES.add_edited(f"a chunk inflates to {_words} ({_compression})", _resized(_compression, _change))


def _lz4(total: int, block: int, packed: int, data: bytes = b"") -> bytes:
    return struct.pack(">QII", total, block, packed) + data


def _announcing(data: Callable[[int], bytes], compression: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        _resized(compression, lambda size: size)(file)
        dataset = file[PICTURE]
        _store(dataset, data(_chunk_bytes(dataset)))

    return change


for _words, _data in {
    "announces 2^63 bytes": lambda size: _lz4(1 << 63, 1 << 30, 4, b"abcd"),
    "announces blocks of no size": lambda size: _lz4(size, 0, 4, b"abcd"),
    "announces blocks of a byte": lambda size: _lz4(size, 1, 1, b"\0"),
    "announces a packed block of 4 GiB": lambda size: _lz4(size, size, 0xFFFFFFFF, b"abcd"),
    "announces a block of 4 GiB": lambda size: _lz4(size, 0xFFFFFFFF, 4, b"abcd"),
    "is a block that inflates to less": lambda size: _lz4(size, size, 6, b"\x1fa\x01\x00\x10b"),
}.items():
    CASES.add_edited(f"a chunk {_words} (lz4)", _announcing(_data, "lz4"))

for _words, _data in {
    "announces 2^62 bytes": lambda size: b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 62) + b"\x01\0\0",
    "does not announce its size": lambda size: (
        b"\x28\xb5\x2f\xfd\x00\x58" + struct.pack("<I", (size << 3) | 3)[:3] + b"\0"
    ),
    "is endless zeros": lambda size: (
        b"\x28\xb5\x2f\xfd\x00\x58" + (struct.pack("<I", (131072 << 3) | 2)[:3] + b"\0") * 4096
    ),
    "wants a window of 2 GiB": lambda size: b"\x28\xb5\x2f\xfd\x00\xa8" + struct.pack("<I", (4 << 3) | 3)[:3] + b"\0",
}.items():
    CASES.add_edited(
        f"a chunk {_words} (zstd)", _announcing(_data, "zstd"), expect="any" if "not announce" in _words else "refused"
    )


@CASES.edited("a chunk is deflated twice")
def _(file: h5py.File) -> None:
    dataset = file[PICTURE]
    _store(dataset, zlib.compress(zlib.compress(bytes(_chunk_bytes(dataset)))))


# Filters --------------------------------------------------------------------------------------------


def _filtered(name: str, *filters: tuple[int, tuple[int, ...]]) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        old = file[name]
        shape, chunks, kind = old.shape, old.chunks, h5py.h5t.py_create(old.dtype, logical=True)
        data = old[: chunks[0]].tobytes().ljust(int(np.prod(chunks)) * old.dtype.itemsize, b"\0")
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk(chunks)
        for number, values in filters:
            create.set_filter(number, h5py.h5z.FLAG_OPTIONAL, values)
            data = zlib.compress(data) if number == 1 else data
        del file[name]
        space = h5py.h5s.create_simple(shape, (h5py.h5s.UNLIMITED, *shape[1:]))
        made = h5py.h5d.create(file.id, name.encode(), kind, space, create)
        made.write_direct_chunk((0,) * len(shape), data)

    return change


for _words, _name, _filters in (
    ("an unknown filter", PICTURE, [(54321, (1, 2))]),
    ("an unknown filter", "rewards", [(54321, ())]),
    ("the filter of a plugin", PICTURE, [(32001, (2, 2, 1, 1200))]),
    ("the filter of a plugin", "rewards", [(32001, (2, 2, 8, 4096))]),
    ("the filter of a plugin", "commit", [(32001, (2, 2, 8, 16))]),
    ("gzip twice", PICTURE, [(1, (1,)), (1, (1,))]),
    ("gzip 30 times", PICTURE, [(1, (1,))] * 30),
    ("shuffle and gzip", PICTURE, [(2, (1,)), (1, (1,))]),
    ("fletcher32", PICTURE, [(3, ())]),
    ("n-bit", PICTURE, [(5, ())]),
    ("scale-offset", "rewards", [(6, (2, 0))]),
    ("gzip", "commit", [(1, (1,))]),
    ("gzip", "rewards", [(1, (1,))]),
    ("gzip", "infos/json/values", [(1, (1,))]),
):
    _expect = "any" if _words in ("gzip", "shuffle and gzip", "n-bit") else "refused"
    CASES.add_edited(f"/{_name} has {_words}", _filtered(_name, *_filters), expect=_expect)


for _mask in (1, 2, 0xFFFFFFFF):
    for _words, _data in (
        ("a byte", lambda size: b"a"),
        ("half of it", lambda size: bytes(size // 2)),
        ("more", lambda size: bytes(2 * size)),
    ):

        @CASES.edited(f"a chunk that says its filter was left out (mask {_mask:x}) has {_words}")
        def _(file: h5py.File, mask: int = _mask, data: Callable[[int], bytes] = _data) -> None:
            _store(file[PICTURE], data(_chunk_bytes(file[PICTURE])), mask)


@CASES.case("an uncompressed chunk is short", expect="any")  # the bytes behind it in the file are read
def _(site: Site) -> None:
    with edit(site) as file:
        file["rewards"].id.write_direct_chunk((0,), bytes(8))


# Bombs ----------------------------------------------------------------------------------------------


def _bomb(file: h5py.File, item: tuple[int, ...], chunk: bytes, codec: Any, rows: int = 7) -> None:
    """Replace the pictures by others of another size, each in a chunk of its own, and make the schema agree."""

    def resize(schema: Any) -> None:
        for _, node in schema["observation"]["items"]:
            if node["name"] == PICTURE:
                node["shape"] = list(item)

    edit_json(file, "schema", resize)
    del file[PICTURE]
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk((1, *item))
    create.set_filter(codec.filter_id, h5py.h5z.FLAG_OPTIONAL, codec.filter_values)
    space = h5py.h5s.create_simple((rows, *item), (h5py.h5s.UNLIMITED, *item))
    made = h5py.h5d.create(file.id, PICTURE.encode(), h5py.h5t.STD_U8LE, space, create)
    for row in range(rows):
        made.write_direct_chunk((row, *(0 for _ in item)), chunk)


@CASES.edited("pictures of 1 GiB")
def _(file: h5py.File) -> None:
    data = zlib.compress(bytes(1 << 20), 1) * 4
    _bomb(file, (1 << 15, 1 << 15), data, make_codec("gzip"))


@CASES.edited("pictures of 16 MiB, of zeros (gzip)", expect="any")  # together they are too large to read at once
def _(file: h5py.File) -> None:
    _bomb(file, (4096, 4096), zlib.compress(bytes(16 << 20), 1), make_codec("gzip"))


@CASES.edited("pictures of 40 MiB, of zeros (zstd)", expect="any")
def _(file: h5py.File) -> None:
    encode = make_codec("zstd").encode
    assert encode is not None
    _bomb(file, (5120, 8192), encode(bytes(40 << 20)), make_codec("zstd"))


@CASES.edited("pictures of 100 MiB, of references to zeros (lzf)", expect="any")
def _(file: h5py.File) -> None:
    # A run of 264 bytes from three: what LibLZF does with zeros, without HDF5's help.
    data = b"\x00\x00" + b"\xe0\xff\x00" * (ZEROS // 264 + 1)
    _bomb(file, (10240, 10240), data, make_codec("lzf"), rows=2)
