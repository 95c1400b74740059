"""Small items of compacted files: a few bytes that claim much, and chunks that are not what they should be."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import h5py
import numpy as np

from tests.hostile.cases import Cases, replace, set_text

__all__ = ["CASES"]

CASES = Cases()

LARGEST_CHUNK = 64 << 10
MANY = 10_000  # episodes of one step, each of two rows


def _columns(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, each: names.append(name) if isinstance(each, h5py.Dataset) else None)
    return names


def _grow(file: h5py.File, episodes: int) -> None:
    """Episodes of one step, all like each other, in chunks that compress to next to nothing."""
    rows = 2 * episodes
    for name in _columns(file):
        dataset = file[name]
        if name.startswith("episodes/") and not name.endswith("/values"):
            count = episodes
        elif name.endswith("/values") or name in ("commit", "positions"):
            continue
        else:
            count = rows
        first = dataset[0]
        dataset.resize(count, axis=0)
        if dataset.ndim > 2 or name == "dones":  # pictures, and what is not compressed, are not even in the file
            continue
        dataset[:] = np.broadcast_to(first, dataset.shape)
        if name.endswith("/ends"):
            dataset[:] = np.zeros(count, np.int64)
    file["episodes/starts"][:] = np.arange(episodes) * 2
    file["episodes/lengths"][:] = 1
    file["commit"][:] = (rows, episodes)


CASES.add_edited("a row for every few bytes of the file", lambda file: _grow(file, MANY), expect="any")
CASES.add_edited("twenty rows for each byte of the file", lambda file: _grow(file, 20 * MANY))


def _texts(data: bytes) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        set_text(file, "infos/json", 2, data)

    return change


for _words, _data in {
    "zeros": bytes(24 << 20),
    "open brackets": b"[" * (8 << 20),
    "ones": b"[" + b"1," * (1 << 19) + b"1]",
    "an object": b'{"a":"' + b"x" * (24 << 20) + b'"}',
}.items():
    CASES.add_edited(f"a packed text of megabytes of {_words}", _texts(_data), expect="any")


def _resized(change: Callable[[int], int]) -> Callable[[h5py.File], None]:
    def change_file(file: h5py.File) -> None:
        dataset = file["rewards"]
        size = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(change(size))))

    return change_file


for _words, _change in {
    "an element less": lambda size: size - 8,
    "a byte less": lambda size: size - 1,
    "a byte more": lambda size: size + 1,
    "nothing": lambda size: 0,
    "a quarter of a gigabyte": lambda size: 1 << 28,
}.items():
    CASES.add_edited(f"a packed chunk inflates to {_words}", _resized(_change))


def _masked(mask: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        _, data = file["rewards"].id.read_direct_chunk((0,))
        file["rewards"].id.write_direct_chunk((0,), data, mask)

    return change


for _mask, _words in {1: "shuffle", 2: "gzip", 3: "both filters"}.items():
    CASES.add_edited(f"a packed chunk says that it is without {_words}", _masked(_mask), expect="any")


def _chunked(name: str, size: int, **options: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        rows = size // (file[name].dtype.itemsize * int(np.prod(file[name].shape[1:])))
        chunks = (rows, *file[name].shape[1:])
        replace(file, name, data=file[name][:], chunks=chunks, **options)

    return change


for _name in ("rewards", "episodes/starts", "dones"):
    for _words, _size, _expect in (
        ("the largest", LARGEST_CHUNK, "any"),
        ("too large", 2 * LARGEST_CHUNK, "refused"),
        ("the size of a file", 64 << 20, "refused"),
    ):
        CASES.add_edited(
            f"/{_name} has packed chunks that are {_words}",
            _chunked(_name, _size, compression="gzip", shuffle=True),
            expect=_expect,
        )
    CASES.add_edited(f"/{_name} is packed with LZF", _chunked(_name, 4096, compression="lzf"))
    CASES.add_edited(f"/{_name} is shuffled and not compressed", _chunked(_name, 4096, shuffle=True))
    CASES.add_edited(f"/{_name} is packed with checksums", _chunked(_name, 4096, compression="gzip", fletcher32=True))
