"""How the items of a dataset are stored: chunks and filters, while recording and afterwards."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_PACKED_CHUNK_BYTES
from gym_h5record.storage.checksums import checksum_field
from gym_h5record.storage.column_layout import (
    Layout,
    chunk_rows,
    create_column,
    is_compressed,
    packed_layout,
    recording_layout,
)
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.hdf5.objects import filter_ids, open_dataset

PICTURE = Field("x", np.dtype(np.uint8), (84, 84))
NUMBER = Field("x", np.dtype(np.float64))
"""Compressed, sixteen in a chunk; not compressed while recording, 512 in a chunk."""

FILTERS = {"gzip": 1, "zstd": 32015, "lz4": 32004, "lzf": 32000, "szip": 4, None: 0}


# While recording ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dtype", "rows"),
    [
        pytest.param((210, 160, 3), np.uint8, 1, id="Atari"),
        pytest.param((84, 84), np.uint8, 16, id="84x84"),
        pytest.param((4, 84, 84), np.uint8, 4, id="stack-of-four"),
        pytest.param((600, 400, 3), np.uint8, 1, id="larger-than-a-chunk"),
        pytest.param((256,), np.uint8, 256, id="just-compressed"),
    ],
)
def test_chunks_of_pictures_hold_a_power_of_two_of_them(shape: tuple[int, ...], dtype: type, rows: int) -> None:
    field = Field("x", np.dtype(dtype), shape)
    assert is_compressed(field)
    assert chunk_rows(field) == rows


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        pytest.param((255,), np.uint8, id="just-not-compressed"),
        pytest.param((128,), np.uint8, id="RAM"),
        pytest.param((3,), np.float32, id="no-power-of-two"),
        pytest.param((), np.float64, id="number"),
        pytest.param((), np.bool_, id="flag"),
    ],
)
def test_chunks_of_small_items_hold_a_power_of_two_of_them_in_a_few_kilobytes(
    shape: tuple[int, ...], dtype: type
) -> None:
    field = Field("x", np.dtype(dtype), shape)
    rows = chunk_rows(field)
    assert not is_compressed(field)
    assert rows & (rows - 1) == 0
    assert 1 << 10 <= rows * field.item_bytes <= 16 << 10


def test_chunks_of_the_index_of_episodes_are_smaller() -> None:
    assert chunk_rows(Field("episodes/starts", np.dtype(np.int64))) * 8 == 1 << 10


def test_an_item_of_a_ragged_list_is_compressed_alone_or_not_at_all() -> None:
    large = Field("x/values", np.dtype(np.uint8), (4096,), parent="x/ends")
    small = Field("x/values", np.dtype(np.uint8), (4095,), parent="x/ends")
    assert (is_compressed(large), chunk_rows(large)) == (True, 1)
    assert not is_compressed(small)
    assert chunk_rows(small) in (1, 2, 4)


@pytest.mark.parametrize("compression", FILTERS, ids=str)
def test_a_column_has_the_filter_of_its_codec_if_its_items_are_large(compression: str | None) -> None:
    codec = make_codec(compression)
    for field, number in ((PICTURE, FILTERS[compression]), (NUMBER, 0)):
        layout = recording_layout(field, codec)
        assert [each for each, _ in layout.filters] == [number] * bool(number)
        assert layout.rows == chunk_rows(field)


# In a compacted file -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "rows", "filters"),
    [
        (NUMBER, 4096, [(2, (8,)), (1, (1,))]),
        (Field("x", np.dtype(np.float32), (4,)), 2048, [(2, (4,)), (1, (1,))]),
        (Field("x", np.dtype(np.float32), (3,)), 2048, [(2, (4,)), (1, (1,))]),
        (Field("truncations", np.dtype(np.bool_)), 32768, [(1, (1,))]),
        (Field("x/values", np.dtype(np.uint8), (4095,), parent="x/ends"), 8, [(1, (1,))]),
        (Field("episodes/starts", np.dtype(np.int64)), 4096, [(2, (8,)), (1, (1,))]),
    ],
    ids=["number", "vector", "no-power-of-two", "flag", "ragged", "index"],
)
def test_small_items_are_shuffled_if_they_have_several_bytes_and_compressed_with_gzip(
    field: Field, rows: int, filters: list[tuple[int, tuple[int, ...]]]
) -> None:
    layout = packed_layout(field)
    assert layout == Layout(rows, tuple(filters))
    assert layout.rows * field.item_bytes <= MAX_PACKED_CHUNK_BYTES


@pytest.mark.parametrize(
    "field",
    [PICTURE, Field("x/values", np.dtype(np.uint8), (4096,), parent="x/ends"), Field(fmt.DONES, np.dtype(np.bool_))],
    ids=["large", "large-ragged", "dones"],
)
def test_the_other_columns_stay_as_they_are(field: Field) -> None:
    assert packed_layout(field) is None


@pytest.mark.parametrize(
    ("num_lanes", "rows", "of_checksums"), [(1, 512, 512), (16, 32, 32), (1024, 8, 1), (16384, 2, 1)]
)
def test_chunks_of_many_lanes_have_some_rows_and_those_of_checksums_one(
    num_lanes: int, rows: int, of_checksums: int
) -> None:
    field = Field("x", np.dtype(np.float64), num_lanes=num_lanes)
    assert chunk_rows(field) == rows
    assert chunk_rows(checksum_field(field)) == of_checksums


# Datasets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", FILTERS, ids=str)
@pytest.mark.parametrize(
    "field", [PICTURE, NUMBER, Field("group/x", np.dtype(np.bool_))], ids=["large", "small", "flag"]
)
def test_a_dataset_matches_the_layout_it_was_made_with(field: Field, compression: str | None, tmp_path: Path) -> None:
    if (
        compression == "szip"
        and not h5py.h5z.get_filter_info(h5py.h5z.FILTER_SZIP) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED
    ):
        pytest.skip("this HDF5 cannot write szip")
    layouts = [recording_layout(field, make_codec(compression)), packed_layout(field)]
    for layout in layouts:
        if layout is None:
            continue
        with h5py.File(tmp_path / "run.h5", "w", libver="v110") as file:
            create_column(file, field, layout)
            dataset = open_dataset(file, field.name)
            assert [each == layout for each in layouts] == [
                each is not None and each.matches(dataset) for each in layouts
            ]
            assert (dataset.shape, dataset.maxshape) == ((0, *field.shape), (None, *field.shape))
            assert dataset.chunks == (layout.rows, *field.shape)
            assert filter_ids(dataset.id) == [number for number, _ in layout.filters]
