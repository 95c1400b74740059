"""Compression of whole chunks, ``bytes -> bytes``, each with the HDF5 filter that undoes it.

A codec encodes a chunk outside HDF5. The result is written as it is, and any program that has the filter reads it.
``lzf`` and ``szip`` have no encoder here: HDF5 compresses.
"""

from __future__ import annotations

import importlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from isal import isal_zlib
from zlib_ng import zlib_ng

from gym_h5record.errors import CorruptRecordingError, MissingDependencyError, OptionError
from gym_h5record.options import check_one_of

__all__ = [
    "COMPRESSIONS",
    "FILTERS",
    "FLETCHER32",
    "GZIP",
    "NBIT",
    "SHUFFLE",
    "SZIP",
    "Codec",
    "decode_chunk",
    "make_codec",
]

GZIP, SZIP, LZF, LZ4, ZSTD = 1, 4, 32000, 32004, 32015
_ZLIB_WINDOW_BITS = 15
_SMALL_BYTES = 8 << 10  # of gzip data: inflated, it has at most 1,032 times as many, 8 MiB
_INFLATE_ERROR: Any = zlib_ng.error  # its stubs call it an instance
SHUFFLE, FLETCHER32, NBIT = 2, 3, 5  # they compress nothing themselves
FILTERS = {GZIP: "gzip", SZIP: "szip", LZF: "lzf", LZ4: "lz4", ZSTD: "zstd"}
"""The HDF5 filters that compress the chunks of a recording, one of them at most."""

_ISAL_LEVEL = 1  # Atari frames: level 2 gives the same size, level 3 saves 5 % in 11 to 17 times the time
_LZ4_BLOCK_BYTES = 1 << 30


@dataclass(frozen=True)
class Codec:
    """How the chunks of a column are compressed.

    Attributes:
        name: One of ``COMPRESSIONS``.
        opts: h5py's ``compression_opts``, or None for the default.
        filter_id: Number of the HDF5 filter, 0 for none.
        filter_values: Client data of the filter, as HDF5 stores it.
        encode: Compresses one whole chunk, or None to let HDF5 do it.
    """

    name: str | None
    opts: Any
    filter_id: int
    filter_values: tuple[int, ...]
    encode: Callable[[bytes | memoryview], bytes] | None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the name and the options: compressors cannot be pickled."""
        return make_codec, (self.name, self.opts)


def make_codec(compression: str | None, compression_opts: Any = None) -> Codec:
    """The codec for h5py's ``compression`` and ``compression_opts``.

    Args:
        compression: ``"gzip"``, ``"zstd"``, ``"lz4"``, ``"lzf"``, ``"szip"`` or None.
        compression_opts: gzip: a zlib level 0-9 (default: ISA-L's level 1, about
            ten times faster); zstd: a level from -7 to 22 (default 1); szip: a
            pair ``("ec" | "nn", pixels)``; the others take none.

    Raises:
        OptionError: If either is unknown.
        MissingDependencyError: If the codec needs a library that is not installed.
    """
    check_one_of("compression", compression, COMPRESSIONS)
    if compression in _WITHOUT_OPTS and compression_opts is not None:
        raise OptionError(f"compression {compression!r} takes no compression_opts, got {compression_opts!r}")
    return _MAKERS[compression](compression_opts)


def decode_chunk(filter_id: int, data: bytes | bytearray | memoryview, size_bytes: int) -> bytes:
    """Decompress one chunk to exactly ``size_bytes`` bytes, without HDF5.

    Raises:
        CorruptRecordingError: If the data is damaged, too short or too long.
        MissingDependencyError: If the filter needs a library that is not installed.
    """
    try:
        decoded = _DECODERS[filter_id](data, size_bytes)
    except (ValueError, struct.error) as error:
        raise CorruptRecordingError(f"a chunk cannot be decompressed: {error}") from error
    if len(decoded) != size_bytes:
        raise CorruptRecordingError(f"a chunk decompresses to {len(decoded)} bytes, expected {size_bytes}")
    return decoded


def _gzip(opts: Any) -> Codec:
    if opts is None:
        return Codec("gzip", None, GZIP, (_ISAL_LEVEL,), lambda data: isal_zlib.compress(data, _ISAL_LEVEL))
    level = _integer("gzip", opts, 0, 9)
    return Codec("gzip", level, GZIP, (level,), lambda data: zlib.compress(data, level))


def _zstd(opts: Any) -> Codec:
    level = 1 if opts is None else _integer("zstd", opts, -7, 22)
    compressor = _extra("zstandard").ZstdCompressor(level=level)
    return Codec("zstd", opts, ZSTD, (level & 0xFFFFFFFF,), compressor.compress)


def _lz4() -> Codec:
    compress = _extra("lz4.block").compress

    def encode(data: bytes | memoryview) -> bytes:
        size_bytes = len(data)
        packed: bytes = compress(data, store_size=False)
        if len(packed) >= size_bytes:  # to the filter, a block of its raw size is one that is not compressed
            packed = bytes(data)
        return struct.pack(">QII", size_bytes, min(size_bytes, _LZ4_BLOCK_BYTES), len(packed)) + packed

    return Codec("lz4", None, LZ4, (), encode)


def _szip(opts: Any) -> Codec:
    match ("nn", 8) if opts is None else opts:
        case ("ec" | "nn") as method, int(pixels) if pixels in range(2, 33, 2):
            return Codec("szip", (method, pixels), SZIP, ({"ec": 4, "nn": 32}[method], pixels), None)
    raise OptionError(f"szip: compression_opts must be ('ec' or 'nn', an even number up to 32), got {opts!r}")


_MAKERS: dict[str | None, Callable[[Any], Codec]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "lz4": lambda _: _lz4(),
    "lzf": lambda _: Codec("lzf", None, LZF, (), None),
    "szip": _szip,
    None: lambda _: Codec(None, None, 0, (), bytes),
}
_WITHOUT_OPTS = ("lz4", "lzf", None)
COMPRESSIONS = tuple(_MAKERS)


def _decode_gzip(data: bytes, size_bytes: int) -> bytes:
    try:
        if len(data) <= _SMALL_BYTES:  # in one call: 1.5 us faster
            whole: bytes = zlib_ng.decompress(data, _ZLIB_WINDOW_BITS, size_bytes)
            return whole
        # Room for one byte more shows that a chunk is too long, without inflating all of a bomb.
        inflate = zlib_ng.decompressobj()
        decoded: bytes = inflate.decompress(data, size_bytes + 1)
    except _INFLATE_ERROR as error:
        raise ValueError(str(error)) from error
    if len(decoded) <= size_bytes and not inflate.eof:
        raise ValueError("the gzip data is cut short")
    return decoded


def _decode_zstd(data: bytes, size_bytes: int) -> bytes:
    zstandard = _extra("zstandard")
    try:
        if zstandard.frame_content_size(data) not in (size_bytes, -1):
            raise ValueError("the zstd frame announces another size than the chunk has")
        decoded: bytes = zstandard.ZstdDecompressor().decompress(data, max_output_size=size_bytes)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return decoded


def _decode_lz4(data: bytes, size_bytes: int) -> bytes:
    total, block_bytes = struct.unpack_from(">QI", data)
    if total != size_bytes:
        raise ValueError(f"the LZ4 chunk announces {total} bytes")
    block = _extra("lz4.block")
    parts, position, left = [], 12, size_bytes
    while left:
        (packed_bytes,) = struct.unpack_from(">I", data, position)
        packed = data[position + 4 : position + 4 + packed_bytes]
        raw_bytes = min(block_bytes, left)
        if raw_bytes == 0:
            raise ValueError("the LZ4 chunk has blocks of no size")
        try:
            part = packed if packed_bytes == raw_bytes else block.decompress(packed, uncompressed_size=raw_bytes)
        except block.LZ4BlockError as error:
            raise ValueError(str(error)) from error
        parts.append(part)
        position += 4 + packed_bytes
        left -= raw_bytes
    return b"".join(parts)


def _decode_lzf(data: bytes, size_bytes: int) -> bytes:
    """LibLZF's format. HDF5's own filter is not safe, and the truncation test of ``szip`` does not help.

    HDF5's filter does not notice data that is too short or too long: LZF data has no end, and padding behind it is
    decompressed as well. The filter starts anew with a larger buffer until everything fits: 1.1 MB of data for a chunk
    of 1 MiB took it 15 s and 102 MiB. This function stops at the size of the chunk.
    """
    out = bytearray()
    at, end = 0, len(data)
    try:
        while at < end and len(out) <= size_bytes:
            control = data[at]
            at += 1
            if control < 32:  # a run of literals
                out += data[at : at + control + 1]
                at += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[at]
                at += 1
            start = len(out) - ((control & 31) << 8) - data[at] - 1
            at += 1
            length += 2
            if start < 0:
                raise ValueError("the LZF data refers to what was before it")
            run = out[start : start + length]
            if len(run) < length:  # it goes on with what it has just made
                run = (run * (length // len(run) + 1))[:length]
            out += run
    except IndexError as error:
        raise ValueError("the LZF data is cut short") from error
    if at > end:
        raise ValueError("the LZF data is cut short")
    return bytes(out)


_DECODERS: dict[int, Callable[[Any, int], bytes]] = {
    0: lambda data, size_bytes: bytes(data),
    GZIP: _decode_gzip,
    ZSTD: _decode_zstd,
    LZ4: _decode_lz4,
    LZF: _decode_lzf,
}


def _extra(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"compression with {module.partition('.')[0]} needs a library that is not installed: "
            'pip install "gym_h5record[codecs]"'
        ) from error


def _integer(name: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise OptionError(f"{name}: compression_opts must be a whole number from {low} to {high}, got {value!r}")
    return value
