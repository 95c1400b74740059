"""Codecs: what they encode HDF5 decodes, what HDF5 encodes they decode, and nothing damaged gets through."""

import struct
import subprocess
import sys
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError, MissingDependencyError, OptionError
from gym_h5record.storage.hdf5 import codecs
from gym_h5record.storage.hdf5.codecs import COMPRESSIONS, decode_chunk, make_codec

hdf5plugin = pytest.importorskip("hdf5plugin")
zstandard = pytest.importorskip("zstandard")
lz4_block = pytest.importorskip("lz4.block")

GZIP, SZIP, LZF, LZ4, ZSTD = 1, 4, 32000, 32004, 32015

OWN = {
    "gzip": ("gzip", None),
    "gzip-0": ("gzip", 0),
    "gzip-4": ("gzip", 4),
    "gzip-9": ("gzip", 9),
    "zstd": ("zstd", None),
    "zstd-fast": ("zstd", -5),
    "zstd-12": ("zstd", 12),
    "lz4": ("lz4", None),
}
"""Codecs that encode here and name a filter."""

own_codec = pytest.mark.parametrize("codec", [make_codec(*args) for args in OWN.values()], ids=list(OWN))


def _frame():
    """A chunk that compresses as a game's picture does."""
    picture = np.zeros((210, 160, 3), np.uint8)
    picture[::7, 30:90] = (200, 72, 72)
    picture[100:104, 40:60, 1] = 99
    return picture.tobytes()


CHUNKS = {
    "empty": b"",
    "one-byte": b"\0",
    "text": b"abc" * 100,
    "zeros": bytes(100_000),
    "noise": np.random.default_rng(0).bytes(20_000),
    "frame": _frame(),
    "floats": np.random.default_rng(1).normal(size=4000).astype(np.float32).tobytes(),
}

every_chunk = pytest.mark.parametrize("data", CHUNKS.values(), ids=list(CHUNKS))
SAMPLE = CHUNKS["floats"]


def check_corrupt(filter_id, data, size_bytes):
    """Fail unless the chunk is refused with the package's own error."""
    with pytest.raises(CorruptRecordingError, match="a chunk (cannot be decompressed|decompresses to)"):
        decode_chunk(filter_id, data, size_bytes)


# Encode, decode, identity -------------------------------------------------------------------------


@own_codec
@every_chunk
def test_identity(codec, data):
    encoded = codec.encode(data)
    assert type(encoded) is bytes
    decoded = decode_chunk(codec.filter_id, encoded, len(data))
    assert type(decoded) is bytes
    assert decoded == data


@every_chunk
def test_identity_without_compression(data):
    codec = make_codec(None)
    assert codec.filter_id == 0
    assert codec.filter_values == ()
    assert codec.encode(data) == decode_chunk(0, data, len(data)) == data


@own_codec
def test_encode_takes_a_view_as_it_takes_bytes(codec):
    assert codec.encode(memoryview(SAMPLE)) == codec.encode(SAMPLE)
    writable = memoryview(bytearray(SAMPLE))
    assert codec.encode(writable) == codec.encode(SAMPLE)


@own_codec
def test_encode_gives_the_same_every_time(codec):
    assert codec.encode(SAMPLE) == codec.encode(SAMPLE)


@own_codec
def test_compressible_data_becomes_smaller(codec):
    if codec.opts != 0:
        assert len(codec.encode(CHUNKS["frame"])) < len(CHUNKS["frame"]) / 20


@own_codec
def test_incompressible_data_grows_by_next_to_nothing(codec):
    assert len(codec.encode(CHUNKS["noise"])) < 1.01 * len(CHUNKS["noise"])


@every_chunk
def test_encode_gzip_is_plain_zlib(data):
    assert zlib.decompress(make_codec("gzip").encode(data)) == data


@every_chunk
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_decode_gzip_of_any_level(data, level):
    assert decode_chunk(GZIP, zlib.compress(data, level), len(data)) == data


@every_chunk
def test_decode_zstd_frame_that_does_not_announce_its_size(data):
    encoded = zstandard.ZstdCompressor(write_content_size=False).compress(data)
    if data:
        assert zstandard.frame_content_size(encoded) == -1
        assert decode_chunk(ZSTD, encoded, len(data)) == data


@pytest.mark.parametrize("block_bytes", [1, 7, 1000, 4096, 1 << 20])
def test_decode_lz4_of_many_blocks(block_bytes):
    data = CHUNKS["text"] + CHUNKS["noise"][:500]
    blocks = []
    for start in range(0, len(data), block_bytes):
        raw = data[start : start + block_bytes]
        packed = lz4_block.compress(raw, store_size=False)
        packed = packed if len(packed) < len(raw) else raw
        blocks.append(struct.pack(">I", len(packed)) + packed)
    chunk = struct.pack(">QI", len(data), block_bytes) + b"".join(blocks)
    assert decode_chunk(LZ4, chunk, len(data)) == data


def test_encode_lz4_stores_what_does_not_become_smaller():
    encoded = make_codec("lz4").encode(CHUNKS["noise"])
    assert encoded == struct.pack(">QII", 20_000, 20_000, 20_000) + CHUNKS["noise"]


# HDF5 itself ------------------------------------------------------------------------------------------


def _plugin_filter(name):
    own = {each: {"compression": each} for each in ("gzip", "lzf")}
    return {**own, "zstd": hdf5plugin.Zstd(), "lz4": hdf5plugin.LZ4()}[name]


@own_codec
@pytest.mark.parametrize("name", ["zeros", "noise", "frame", "floats"])
def test_hdf5_reads_what_we_encode(tmp_path, codec, name):
    data = np.frombuffer(CHUNKS[name], np.uint8)
    with h5py.File(tmp_path / "a.h5", "w", libver=("v110", "v110")) as file:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((len(data),))
        create.set_filter(codec.filter_id, h5py.h5z.FLAG_OPTIONAL, codec.filter_values)
        space = h5py.h5s.create_simple((3 * len(data),))
        dataset = h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT8, space, create)
        for number in range(3):
            dataset.write_direct_chunk((number * len(data),), codec.encode(memoryview(data)))
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["data"][:], np.tile(data, 3))


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "lzf"])
@pytest.mark.parametrize("name", ["zeros", "noise", "frame", "floats"])
def test_we_read_what_hdf5_encodes(tmp_path, compression, name):
    data = np.frombuffer(CHUNKS[name], np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=data.shape, **_plugin_filter(compression))
    with h5py.File(tmp_path / "a.h5") as file:
        mask, stored = file["data"].id.read_direct_chunk((0,))
        filter_id = file["data"].id.get_create_plist().get_filter(0)[0]
    assert decode_chunk(0 if mask else filter_id, stored, data.nbytes) == data.tobytes()


def test_we_read_lz4_blocks_of_the_plugin(tmp_path):
    data = np.frombuffer(CHUNKS["frame"], np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=data.shape, **hdf5plugin.LZ4(nbytes=4096))
        _, stored = file["data"].id.read_direct_chunk((0,))
    assert decode_chunk(LZ4, stored, data.nbytes) == data.tobytes()


@pytest.mark.parametrize(
    ("compression", "opts"), [("gzip", None), ("gzip", 7), ("lzf", None), ("szip", None), ("szip", ("ec", 16))]
)
def test_filter_and_values_are_those_that_h5py_would_set(tmp_path, compression, opts):
    codec = make_codec(compression, opts)
    if not h5py.h5z.filter_avail(codec.filter_id):
        pytest.skip(f"this HDF5 has no {compression}")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        shown = {} if opts is None and compression != "szip" else {"compression_opts": codec.opts}
        dataset = file.create_dataset("data", (64, 64), np.uint8, chunks=(64, 64), compression=compression, **shown)
        filter_id, _, values, _ = dataset.id.get_create_plist().get_filter(0)
    assert filter_id == codec.filter_id
    if compression == "gzip" and opts is not None:
        assert values == codec.filter_values
    if compression == "szip":
        assert values[1] == codec.filter_values[1]
        assert values[0] & codec.filter_values[0]


@pytest.mark.parametrize(("compression", "filter_id"), [("lzf", LZF), ("szip", SZIP)])
def test_codecs_without_an_encoder_leave_it_to_hdf5(compression, filter_id):
    codec = make_codec(compression)
    assert codec.filter_id == filter_id
    assert codec.encode is None


# Damage -----------------------------------------------------------------------------------------------


@own_codec
@pytest.mark.parametrize("name", [name for name in CHUNKS if name != "empty"])
def test_short_chunk_is_corrupt(codec, name):
    data = CHUNKS[name]
    encoded = codec.encode(data)
    for kept in {0, 1, 4, 11, 12, 15, len(encoded) // 2, len(encoded) - 5, len(encoded) - 1} & set(range(len(encoded))):
        check_corrupt(codec.filter_id, encoded[:kept], len(data))


@own_codec
@every_chunk
@pytest.mark.parametrize("difference", [-1, 1, 1000])
def test_chunk_of_another_size_is_corrupt(codec, data, difference):
    if len(data) + difference >= 0:
        check_corrupt(codec.filter_id, codec.encode(data), len(data) + difference)


@pytest.mark.parametrize("difference", [-1, 1])
def test_uncompressed_chunk_of_another_size_is_corrupt(difference):
    with pytest.raises(CorruptRecordingError, match=f"decompresses to 100 bytes, expected {100 + difference}"):
        decode_chunk(0, bytes(100), 100 + difference)


@own_codec
@pytest.mark.parametrize(
    "garbage", [b"", b"\0" * 40, b"\xff" * 40, b"garbage" * 10], ids=["empty", "zeros", "ones", "text"]
)
def test_garbage_is_corrupt(codec, garbage):
    check_corrupt(codec.filter_id, garbage, 1000)


@own_codec
def test_no_changed_byte_raises_anything_but_corrupt(codec):
    data = CHUNKS["text"] + CHUNKS["noise"][:300]
    encoded = codec.encode(data)
    for at in range(len(encoded)):
        damaged = bytearray(encoded)
        damaged[at] ^= 0x55
        try:
            decoded = decode_chunk(codec.filter_id, bytes(damaged), len(data))
        except CorruptRecordingError:
            continue
        assert len(decoded) == len(data)  # zstd and LZ4 carry no checksum here: HDF5 cannot tell either


@pytest.mark.parametrize("at", [-4, -3, -2, -1])
def test_gzip_chunk_with_a_wrong_checksum_is_corrupt(at):
    encoded = bytearray(make_codec("gzip").encode(SAMPLE))
    encoded[at] ^= 0xFF
    check_corrupt(GZIP, bytes(encoded), len(SAMPLE))


@pytest.mark.parametrize(
    "chunk",
    [
        struct.pack(">QII", 100, 0, 0),
        struct.pack(">QII", 100, 100, 1 << 31) + bytes(10),
        struct.pack(">QII", 1 << 63, 100, 5) + bytes(5),
        struct.pack(">QII", 100, 100, 100) + bytes(99),
        struct.pack(">QI", 100, 10) + (struct.pack(">I", 10) + bytes(10)) * 9,
    ],
    ids=["blocks-of-no-size", "block-beyond-the-chunk", "huge", "stored-too-short", "block-missing"],
)
def test_hostile_lz4_chunk_is_corrupt(chunk):
    check_corrupt(LZ4, chunk, 100)


BOMBS = {
    "gzip": (GZIP, lambda data: zlib.compress(data, 9)),
    "zstd": (ZSTD, lambda data: zstandard.ZstdCompressor().compress(data)),
    "zstd-of-unknown-size": (ZSTD, lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data)),
    "lz4": (LZ4, lambda data: make_codec("lz4").encode(data)),
    "lz4-that-lies": (LZ4, lambda data: struct.pack(">Q", 1000) + make_codec("lz4").encode(data)[8:]),
}


@pytest.mark.parametrize(("filter_id", "compress"), BOMBS.values(), ids=list(BOMBS))
def test_bomb_is_not_inflated(filter_id, compress):
    bomb = compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        check_corrupt(filter_id, bomb, 1000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20


def test_gzip_bomb_gives_one_byte_more_than_expected():
    with pytest.raises(CorruptRecordingError, match="decompresses to 1001 bytes, expected 1000"):
        decode_chunk(GZIP, zlib.compress(bytes(16 << 20)), 1000)


def test_a_small_gzip_bomb_takes_no_more_than_deflate_can_make_of_it():
    bomb = zlib.compress(bytes(7 << 20), 9)
    assert len(bomb) <= codecs._SMALL_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(CorruptRecordingError, match=f"decompresses to {7 << 20} bytes, expected 1000"):
            decode_chunk(GZIP, bomb, 1000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 32 << 20


# Options ----------------------------------------------------------------------------------------------


def test_the_codecs_are_these():
    assert COMPRESSIONS == ("gzip", "zstd", "lz4", "lzf", "szip", None)


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=str)
def test_codec_has_the_name_it_was_asked_by(compression):
    assert make_codec(compression).name == compression


def test_filter_values_are_what_the_filter_expects():
    assert make_codec("gzip").filter_values == (1,)
    assert make_codec("gzip", 6).filter_values == (6,)
    assert make_codec("zstd", 3).filter_values == (3,)
    assert make_codec("zstd", -2).filter_values == (2**32 - 2,)
    assert make_codec("szip", ("ec", 16)).filter_values == (4, 16)


@pytest.mark.parametrize("compression", ["GZIP", "brotli", "", 4, True, ("gzip",), ["gzip"]], ids=repr)
def test_unknown_compression_is_an_error_that_lists_the_known_ones(compression):
    with pytest.raises(
        OptionError, match="compression: expected one of 'gzip', 'zstd', 'lz4', 'lzf', 'szip', None, got"
    ):
        make_codec(compression)


@pytest.mark.parametrize(
    ("compression", "opts"),
    [
        ("gzip", -1),
        ("gzip", 10),
        ("gzip", "9"),
        ("gzip", 4.0),
        ("gzip", True),
        ("gzip", [4]),
        ("zstd", 23),
        ("zstd", -8),
        ("zstd", "fast"),
        ("lz4", 1),
        ("lzf", 0),
        (None, 4),
        ("szip", ("xx", 8)),
        ("szip", ("nn", 7)),
        ("szip", ("nn", 34)),
        ("szip", ("nn", 0)),
        ("szip", ("nn", 8.0)),
        ("szip", ("nn",)),
        ("szip", ([], 8)),
        ("szip", 5),
        ("szip", "nn"),
    ],
    ids=lambda each: repr(each),
)
def test_unknown_options_are_an_error_that_says_so(compression, opts):
    with pytest.raises(OptionError, match="compression_opts"):
        make_codec(compression, opts)


@pytest.mark.parametrize(("compression", "filter_id", "library"), [("zstd", ZSTD, "zstandard"), ("lz4", LZ4, "lz4")])
def test_missing_library_names_the_command(monkeypatch, compression, filter_id, library):
    data = make_codec(compression).encode(SAMPLE)
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == library:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Blocker(), *sys.meta_path])
    message = rf'compression with {library} needs a library that is not installed: pip install "gym_h5record\[codecs\]"'
    with pytest.raises(MissingDependencyError, match=message):
        make_codec(compression)
    with pytest.raises(MissingDependencyError, match=message):
        decode_chunk(filter_id, data, len(SAMPLE))


def test_codecs_of_optional_libraries_are_loaded_only_when_asked_for():
    code = (
        "import sys, gym_h5record.storage.hdf5.codecs as codecs; codecs.make_codec('gzip');"
        "print([name for name in ('zstandard', 'lz4') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_codec_is_a_value():
    assert codecs.Codec("gzip", 4, GZIP, (4,), None) == codecs.Codec("gzip", 4, GZIP, (4,), None)
    with pytest.raises(AttributeError):
        make_codec("gzip").name = "other"
