"""The header of a journal: as many slots as fit, columns that do not overlap, and damage that is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.writing.journal_control import HEADER_AT, PAGE_BYTES
from gym_h5record.writing.journal_rows import (
    ALIGNMENT_BYTES,
    BLOB_ENDS,
    CODES,
    FLAGS,
    MIN_CAPACITY_ROWS,
    Rings,
    map_rings,
    own_fields,
    plan_header,
    recorded_header,
    round_up,
)

PATH = Path("run.h5.journal")
FIELDS = [Field("a", np.dtype(np.float32), (3,)), Field("b", np.dtype(np.bool_), (7,))]
RING = [*own_fields(6), *FIELDS]
HEADER = {"journal_id": "j", "metadata": {"user": "ñ\ud800"}}
SIZE_BYTES = 1 << 18


def plan(*, size_bytes: int = SIZE_BYTES, blob_bytes: int = 1 << 16, max_rows: int = 1 << 16) -> bytes | None:
    return plan_header(HEADER, RING, 5, size_bytes, blob_bytes, max_rows)


def mapped(text: bytes, size_bytes: int = SIZE_BYTES) -> Rings:
    """The rings of a journal with this header."""
    journal = bytearray(size_bytes)
    journal[HEADER_AT : HEADER_AT + len(text)] = text
    return map_rings(memoryview(journal), len(text), PATH)


def planned() -> Rings:
    text = plan()
    assert text is not None
    return mapped(text)


def test_every_field_has_a_column_and_none_overlaps_another() -> None:
    rings = planned()
    assert {name: (each.dtype, each.shape[1:]) for name, each in rings.columns.items()} == {
        FLAGS: (np.uint8, ()),
        CODES: (np.uint8, (6,)),
        BLOB_ENDS: (np.uint64, ()),
        "a": (np.float32, (3,)),
        "b": (np.bool_, (7,)),
    }
    first = next(iter(rings.columns.values())).ctypes.data
    spans = [(each.ctypes.data, each.nbytes) for each in rings.columns.values()]
    blob = np.frombuffer(rings.blob, np.uint8)
    for (start, size_bytes), (after, _) in zip(spans, [*spans[1:], (blob.ctypes.data, 0)], strict=True):
        assert start + size_bytes <= after
        assert (start - first) % ALIGNMENT_BYTES == 0
    assert {len(each) for each in rings.columns.values()} == {rings.capacity_rows}
    assert len(blob) == 1 << 16


def test_the_ring_has_as_many_slots_as_fit_a_power_of_two() -> None:
    rings = planned()
    row_bytes = sum(field.item_bytes for field in RING)
    assert rings.capacity_rows.bit_count() == 1
    assert rings.capacity_rows * row_bytes < SIZE_BYTES - (1 << 16) < 3 * rings.capacity_rows * row_bytes
    limited = plan(max_rows=MIN_CAPACITY_ROWS)
    assert limited is not None
    assert mapped(limited).capacity_rows == MIN_CAPACITY_ROWS


@pytest.mark.parametrize("sizes", [{"size_bytes": 1 << 16}, {"blob_bytes": SIZE_BYTES}], ids=["journal", "blob"])
def test_a_journal_without_room_for_the_fewest_slots_gets_no_header(sizes: dict[str, int]) -> None:
    assert plan(**sizes) is None


def test_a_larger_journal_can_be_laid_out_from_the_header_alone() -> None:
    assert recorded_header(planned()) == (HEADER, RING)


@pytest.mark.parametrize(("number", "rounded"), [(0, 0), (1, 64), (64, 64), (65, 128)])
def test_rounding_up_gives_the_next_multiple(number: int, rounded: int) -> None:
    assert round_up(number, 64) == rounded


# Damage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"ring": None},
        {"ring": [["a", "<f4"]]},
        {"ring": [["a", "nonsense", []]]},
        {"ring": [["a", "O", []]]},
        {"ring": [["a", "<f4", "text"]]},
        {"ring": [["a", "<f4", [2**40]]]},
        {"ring": [["a", "<f4", [2**70]]]},
        {"ring": [["a", "<f4", [-3]]]},
        {"capacity_rows": "many"},
        {"capacity_rows": None},
        {"capacity_rows": 2**40},
        {"capacity_rows": 2**80},
        {"capacity_rows": -8},
        {"capacity_rows": 0},
        {"blob_bytes": None},
        {"blob_bytes": 2**40},
        {"blob_bytes": -1},
        {"blob_bytes": 0},
        {"size_bytes": SIZE_BYTES + 1},
    ],
    ids=lambda changes: "-".join(str(each) for pair in changes.items() for each in pair),
)
def test_a_header_that_makes_no_sense_is_corrupt(changes: dict[str, Any]) -> None:
    text = json.dumps({**planned().header, **changes}).encode()
    with pytest.raises(CorruptRecordingError, match="header of .* cannot be read"):
        mapped(text)


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b"null", b"\xff" * 10, b"[" * 5000], ids=["torn", "list", "null", "bytes", "deep"]
)
def test_a_header_that_is_no_json_object_is_corrupt(text: bytes) -> None:
    with pytest.raises(CorruptRecordingError, match="header of .* cannot be read"):
        mapped(text)


def test_a_header_larger_than_any_that_is_written_is_corrupt() -> None:
    with pytest.raises(CorruptRecordingError, match="a header of .* bytes"):
        map_rings(memoryview(bytearray(PAGE_BYTES)), 1 << 60, PATH)
