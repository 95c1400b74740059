"""The journal: rows and segments in a mapped file that outlives every process."""

import errno
import itertools
import os
import resource
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.writing import journal as journal_module
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control, WriterState
from gym_h5record.writing.journal_rows import BLOB_ENDS, CODES, FLAGS
from gym_h5record.writing.segments import Segment, pack_segment
from tests.properties.strategies import PROFILE
from tests.zoo import open_descriptors

FIELDS = (
    Field("observations", np.dtype(np.float32), (3,)),
    Field("actions", np.dtype(np.int64)),
    Field("frames", np.dtype(np.uint8), (4, 5, 3)),
    Field("odd", np.dtype(np.bool_), (7,)),
    Field("half", np.dtype(np.float16)),
)
ROW_BYTES = sum(field.item_bytes for field in FIELDS)
HEADER = {"journal_id": "j", "schema": "{}", "codec": ["gzip", None], "metadata": {"user": "ñ\ud800"}}
PAGE = 4096


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5.journal"


def make(path, *, fields=FIELDS, header=HEADER, first_row=0, row_bytes=ROW_BYTES, blob_bytes=0):
    """A journal that has been laid out."""
    journal = Journal.reserve(path, row_bytes, len(str(header)) * 2, blob_bytes=blob_bytes)
    assert journal.lay_out(header, fields, num_codes=6, first_row=first_row)
    return journal


def append(journal, row, segments=b""):
    """Append a row whose every byte tells its number."""
    slot = row & journal.mask
    for column in journal.columns.values():
        column[slot] = np.full(column.shape[1:], row % 100, column.dtype)
    at = journal.blob_head
    journal.write_blob(at, segments)
    journal.columns[BLOB_ENDS][slot] = at + len(segments)
    journal.control[Control.HEAD] = row + 1


def check_row(journal, row):
    """Fail unless a row is what ``append`` wrote."""
    for name, column in journal.columns.items():
        if name != BLOB_ENDS:
            expected = np.full(column.shape[1:], row % 100, column.dtype)
            np.testing.assert_array_equal(column[row & journal.mask], expected, err_msg=f"row {row} of {name}")


def check_same(found, expected):
    """Fail unless two journals have the same layout, control words and rows."""
    assert found.header == expected.header
    assert bytes(found.control) == bytes(expected.control)
    assert found.columns.keys() == expected.columns.keys()
    for name, column in expected.columns.items():
        assert (found.columns[name].dtype, found.columns[name].shape) == (column.dtype, column.shape)
        np.testing.assert_array_equal(found.columns[name], column)


# Reserve ------------------------------------------------------------------------------------------


def test_reserved_journal_is_empty_and_not_laid_out(path):
    journal = Journal.reserve(path, ROW_BYTES, 1000)
    assert not journal.is_laid_out
    assert journal.header == {}
    assert journal.columns == {}
    assert journal.path == path
    assert [journal.control[word] for word in Control if word != Control.MAGIC] == [0] * (len(Control) - 1)


@pytest.mark.parametrize(
    ("row_bytes", "header_bytes", "blob_bytes"),
    [(1, 0, 0), (100_000, 1000, 0), (2 << 20, 0, 0), (16, 0, 20 << 20)],
    ids=["tiny", "frames", "large-rows", "large-blob"],
)
def test_reserved_space_is_allocated_on_disk(path, row_bytes, header_bytes, blob_bytes):
    Journal.reserve(path, row_bytes, header_bytes, blob_bytes=blob_bytes)
    stat = path.stat()
    assert stat.st_blocks * 512 >= stat.st_size > blob_bytes + header_bytes


def test_reserving_leaves_no_descriptor_open(path):
    before = open_descriptors()
    journal = Journal.reserve(path, 8, 0)
    assert open_descriptors() <= before + 1  # the mapping keeps one of its own
    assert not journal.is_laid_out


def test_existing_journal_is_not_overwritten(path):
    path.write_bytes(b"another file")
    with pytest.raises(FileExistsError):
        Journal.reserve(path, 8, 0)
    assert path.read_bytes() == b"another file"


def test_missing_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Journal.reserve(tmp_path / "missing" / "run.h5.journal", 8, 0)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=errno.errorcode.get)
def test_full_disk_is_an_error_that_leaves_no_file(path, monkeypatch, code):
    def fail(descriptor, offset, length):
        raise OSError(code, os.strerror(code))

    before = open_descriptors()
    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(OSError, match=os.strerror(code)):
        Journal.reserve(path, 8, 0)
    assert list(path.parent.iterdir()) == []
    assert open_descriptors() <= before


def test_interrupted_reserving_leaves_no_file(path, monkeypatch):
    def interrupt(descriptor, offset, length):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "posix_fallocate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Journal.reserve(path, 8, 0)
    assert list(path.parent.iterdir()) == []


# Populate -----------------------------------------------------------------------------------------


def populates(path):
    """A journal of which this kernel has allocated the first pages."""
    journal = Journal.reserve(path, 100_000, 1000)
    if journal._populated_bytes == len(journal._map):
        pytest.skip("this kernel has no MADV_POPULATE_WRITE")
    return journal


@pytest.mark.usefixtures("usual_journals")
def test_pages_are_allocated_slice_by_slice_and_then_cause_no_fault(path):
    journal = populates(path)
    slices = [journal._populated_bytes]
    while not journal.populate():
        slices.append(journal._populated_bytes)
    steps = {after - before for before, after in itertools.pairwise(slices)}
    assert (slices[0], steps) == (4 << 20, {512 << 10})
    assert journal.populate()  # nothing is left to do
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for at in range(2 * PAGE, len(journal._map), PAGE):
        journal._map[at] = 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < len(journal._map) // PAGE // 10


def test_populating_changes_no_byte_of_the_rows_that_are_there(path):
    journal = populates(path)
    assert journal.lay_out(HEADER, FIELDS, num_codes=6, first_row=0)
    for column in journal.columns.values():
        column.reshape(-1).view(np.uint8)[:] = 0xA5
    journal.write_blob(0, b"\x5a" * journal.blob_bytes)
    before = path.read_bytes()
    while not journal.populate(3 * PAGE):
        pass
    assert path.read_bytes() == before
    assert bytes(journal._map) == before


def test_a_kernel_that_cannot_populate_is_asked_once(path, monkeypatch):
    monkeypatch.setattr(journal_module, "_MADV_POPULATE_WRITE", 12345)
    journal = Journal.reserve(path, ROW_BYTES, 1000)
    assert journal.populate()
    monkeypatch.setattr(journal_module, "_MADV_POPULATE_WRITE", None)  # would raise a TypeError
    assert journal.populate()
    assert journal.lay_out(HEADER, FIELDS, num_codes=6, first_row=0)
    append(journal, 0, b"abc")
    check_row(Journal.open(path), 0)


def test_a_journal_that_is_opened_is_not_populated(path, monkeypatch):
    make(path)
    monkeypatch.setattr(journal_module, "_MADV_POPULATE_WRITE", None)  # would raise a TypeError
    assert Journal.open(path).populate()


# Lay out ------------------------------------------------------------------------------------------


def test_layout_gives_every_field_a_column(path):
    journal = make(path)
    rows = journal.capacity_rows
    shapes = {name: (column.dtype, column.shape) for name, column in journal.columns.items()}
    assert shapes == {
        FLAGS: (np.uint8, (rows,)),
        CODES: (np.uint8, (rows, 6)),
        BLOB_ENDS: (np.uint64, (rows,)),
        **{field.name: (field.dtype, (rows, *field.shape)) for field in FIELDS},
    }
    assert all(column.flags.writeable and column.flags.c_contiguous for column in journal.columns.values())
    assert all(column.ctypes.data % 64 == 0 for column in journal.columns.values())


def test_capacity_is_a_power_of_two_and_mask_its_slots(path):
    journal = make(path)
    assert journal.capacity_rows & journal.mask == 0
    assert 8 <= journal.capacity_rows <= 1 << 16


def test_columns_and_blob_do_not_overlap(path):
    journal = make(path)
    header = dict(journal.header)
    for number, column in enumerate(journal.columns.values(), 1):
        column.reshape(-1).view(np.uint8)[:] = 10 * number
    journal.write_blob(0, b"\xee" * journal.blob_bytes)
    for number, column in enumerate(journal.columns.values(), 1):
        assert set(np.unique(column.reshape(-1).view(np.uint8))) == {10 * number}
    assert journal.read_blob(0, journal.blob_bytes) == b"\xee" * journal.blob_bytes
    assert Journal.open(path).header == header


@pytest.mark.parametrize("first_row", [0, 1, 12345, 10**12])
def test_rows_are_counted_from_the_first_one(path, first_row):
    journal = make(path, first_row=first_row)
    words = (Control.HEAD, Control.TAIL, Control.COMMITTED_HEAD)
    assert [journal.control[word] for word in words] == [first_row] * 3
    assert journal.blob_head == 0


def test_fields_may_be_none(path):
    assert set(make(path, fields=()).columns) == {FLAGS, CODES, BLOB_ENDS}


def test_layout_that_does_not_fit_is_refused_and_changes_nothing(path):
    journal = Journal.reserve(path, 8, 0)
    before = path.read_bytes()
    assert not journal.lay_out(HEADER, [Field("huge", np.dtype(np.uint8), (100 << 20,))], 6, 0)
    assert path.read_bytes() == before
    assert not journal.is_laid_out
    assert journal.columns == {}
    assert journal.lay_out(HEADER, FIELDS, 6, 0)  # others still do


def test_header_that_does_not_fit_is_refused_and_changes_nothing(path):
    journal = Journal.reserve(path, 8, 0)
    before = path.read_bytes()
    assert not journal.lay_out({"metadata": "x" * len(before)}, FIELDS, 6, 0)
    assert path.read_bytes() == before


@pytest.mark.parametrize("row_bytes", [1, 84 * 84, 210 * 160 * 3, 3 << 20], ids=["one", "grey", "rgb", "large"])
def test_space_reserved_for_rows_does_for_them(path, row_bytes):
    journal = Journal.reserve(path, row_bytes, 2000)
    assert journal.lay_out(HEADER, [Field("row", np.dtype(np.uint8), (row_bytes,))], 20, 0)
    assert journal.capacity_rows >= 8


@pytest.mark.parametrize("blob_bytes", [1 << 20, 10 << 20, 30 << 20], ids=["1M", "10M", "30M"])
def test_space_reserved_for_segments_does_for_them(path, blob_bytes):
    journal = make(path, blob_bytes=blob_bytes)
    assert journal.blob_bytes >= blob_bytes


# Open ---------------------------------------------------------------------------------------------


def test_open_finds_what_was_laid_out(path):
    journal = make(path, first_row=5)
    for row in range(5, 25):
        append(journal, row, bytes([row]) * row)
    again = Journal.open(path)
    assert again.is_laid_out
    check_same(again, journal)
    assert {name: again.header[name] for name in HEADER} == HEADER
    assert again.capacity_rows == journal.capacity_rows
    assert again.blob_bytes == journal.blob_bytes
    assert again.blob_head == journal.blob_head == sum(range(5, 25))
    assert again.read_blob(0, 5) == bytes([5]) * 5


def test_open_finds_a_journal_that_is_not_laid_out(path):
    Journal.reserve(path, 8, 0)
    assert not Journal.open(path).is_laid_out


def test_layout_made_later_is_read_when_asked_for(path):
    first = Journal.reserve(path, ROW_BYTES, 1000)
    second = Journal.open(path)
    assert first.lay_out(HEADER, FIELDS, 6, 3)
    assert second.is_laid_out
    second.read_header()
    check_same(second, first)


def test_two_mappings_see_each_others_rows(path):
    first = make(path)
    second = Journal.open(path)
    append(first, 0, b"abc")
    check_row(second, 0)
    assert second.read_blob(0, 3) == b"abc"
    second.control[Control.TAIL] = 1
    assert first.control[Control.TAIL] == 1


def test_missing_journal_is_an_error(path):
    with pytest.raises(FileNotFoundError):
        Journal.open(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", bytes(2 * PAGE - 1), bytes(2 * PAGE), b"\x89HDF\r\n\x1a\n" + bytes(5 * PAGE)],
    ids=["empty", "short", "one-byte-short", "zeros", "hdf5"],
)
def test_other_file_is_no_journal(path, content):
    path.write_bytes(content)
    with pytest.raises(CorruptRecordingError, match=r"run\.h5\.journal is no journal"):
        Journal.open(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95], ids=["columns-missing", "half", "blob-missing"])
def test_journal_that_was_cut_off_is_corrupt(path, kept):
    make(path)
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(CorruptRecordingError, match=r"run\.h5\.journal"):
        Journal.open(path)


# The ring -----------------------------------------------------------------------------------------


def test_rows_go_around_the_ring(path):
    journal = make(path, fields=[Field("a", np.dtype(np.uint8), (100_000,))], row_bytes=100_000, first_row=7)
    capacity = journal.capacity_rows
    last = 7 + 2 * capacity + 3
    for row in range(7, last):
        append(journal, row)
    for row in range(last - capacity, last):
        check_row(journal, row)


def test_rows_of_a_killed_process_are_all_there(path):
    make(path)
    code = """
        import os, signal, sys
        from pathlib import Path
        from gym_h5record.writing.journal_control import Control
        from gym_h5record.writing.journal import Journal
        journal = Journal.open(Path(sys.argv[1]))
        for row in range(1000):
            journal.columns["actions"][row & journal.mask] = row
            journal.control[Control.HEAD] = row + 1
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    journal = Journal.open(path)
    assert journal.control[Control.HEAD] == 1000
    np.testing.assert_array_equal(journal.columns["actions"][:1000], np.arange(1000))


# Segments -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A journal whose blob is written again and again."""
    return make(tmp_path_factory.mktemp("journal") / "run.h5.journal")


@PROFILE
@given(around=st.integers(0, 5), before=st.integers(0, 300), data=st.binary(max_size=600))
def test_blob_wraps_around(shared, around, before, data):
    at = (around + 1) * shared.blob_bytes - before
    shared.write_blob(at - 3, b"\xaa" * 3)
    shared.write_blob(at, data)
    shared.write_blob(at + len(data), b"\xbb" * 3)
    assert shared.read_blob(at - 3, at + len(data) + 3) == b"\xaa" * 3 + data + b"\xbb" * 3


def test_blob_may_be_filled_to_the_last_byte(shared):
    data = np.random.default_rng(0).bytes(shared.blob_bytes)
    shared.write_blob(12_345, data)
    assert shared.read_blob(12_345, 12_345 + shared.blob_bytes) == data


def test_nothing_is_read_from_nowhere(shared):
    for at in (0, 5, shared.blob_bytes, 3 * shared.blob_bytes - 1):
        assert shared.read_blob(at, at) == b""
        assert list(shared.read_segments(at, at)) == []


@PROFILE
@given(
    segments=st.lists(st.builds(Segment, st.integers(0, 2**32 - 1), st.binary(max_size=50)), max_size=5),
    before=st.integers(0, 200),
)
def test_segments_come_back_also_around_the_end(shared, segments, before):
    packed = b"".join(pack_segment(segment.number, segment.data) for segment in segments)
    at = 7 * shared.blob_bytes - before
    shared.write_blob(at, packed)
    assert list(shared.read_segments(at, at + len(packed))) == segments


@pytest.mark.parametrize("missing", [1, 3, 4, 11, 14], ids=lambda missing: f"{missing}-missing")
def test_segment_that_runs_over_its_row_is_corrupt(shared, missing):
    packed = pack_segment(1, b"first") + pack_segment(2, b"abc")
    shared.write_blob(0, packed)
    with pytest.raises(CorruptRecordingError, match="a segment runs over the end of its row"):
        list(shared.read_segments(0, len(packed) - missing))


def test_segment_of_impossible_size_is_corrupt(shared):
    packed = pack_segment(1, b"abc")
    shared.write_blob(0, packed[:4] + (2**60).to_bytes(8, "little") + packed[12:])
    with pytest.raises(CorruptRecordingError, match="a segment runs over the end of its row"):
        list(shared.read_segments(0, len(packed)))


def test_blob_is_crowded_from_a_quarter_on(path):
    journal = make(path)
    assert not journal.blob_is_crowded
    append(journal, 0, bytes(journal.blob_bytes // 4 - 1))
    assert not journal.blob_is_crowded
    append(journal, 1, bytes(2))
    assert journal.blob_is_crowded
    journal.control[Control.BLOB_TAIL] = journal.blob_head
    assert not journal.blob_is_crowded


def test_blob_head_is_where_the_newest_row_ends(path):
    journal = make(path, first_row=100)
    assert journal.blob_head == 0
    append(journal, 100, b"abc")
    assert journal.blob_head == 3
    append(journal, 101)
    assert journal.blob_head == 3


# A larger journal ---------------------------------------------------------------------------------


def _crowded(path, *, first_row=1000, count=20):
    """A journal in the middle of its work, its segments lying around the end of the blob."""
    journal = make(path, first_row=first_row)
    append(journal, first_row, bytes(journal.blob_bytes - 100))
    journal.control[Control.TAIL] = first_row + 1
    journal.control[Control.BLOB_TAIL] = journal.blob_head
    for row in range(first_row + 1, first_row + count):
        append(journal, row, pack_segment(row, bytes([row % 256]) * 30))
    journal.columns["actions"][(first_row + count) & journal.mask] = 77  # a row that has only just begun
    for number, word in enumerate((Control.EVENTS, Control.FLUSH, Control.COMMITTED_EVENTS, Control.COMMITTED_HEAD), 3):
        journal.control[word] = number
    return journal


def test_rows_are_copied_into_a_larger_journal(path):
    old = _crowded(path)
    new = Journal.reserve(path.with_name("new"), 4 * ROW_BYTES, 2000, blob_bytes=4 * old.blob_bytes)
    new.copy_rows(old)
    assert new.blob_bytes > old.blob_bytes
    for row in range(1001, 1020):
        check_row(new, row)
        assert new.columns[BLOB_ENDS][row & new.mask] == old.columns[BLOB_ENDS][row & old.mask]
    assert new.columns["actions"][1020 & new.mask] == 77
    assert new.blob_head == old.blob_head
    start, stop = old.control[Control.BLOB_TAIL], old.blob_head
    assert [(segment.number, segment.data) for segment in new.read_segments(start, stop)] == [
        (row, bytes([row % 256]) * 30) for row in range(1001, 1020)
    ]


def test_copy_keeps_header_and_counters(path):
    old = _crowded(path)
    new = Journal.reserve(path.with_name("new"), 4 * ROW_BYTES, 2000, blob_bytes=4 * old.blob_bytes)
    new.copy_rows(old)
    copied = {word for word in Control if word not in (Control.MAGIC, Control.HEADER_BYTES)}
    assert {word: new.control[word] for word in copied} == {word: old.control[word] for word in copied}
    assert {name: new.header[name] for name in HEADER} == HEADER
    assert new.header["first_row"] == 1000
    check_same(Journal.open(new.path), new)


def test_copy_leaves_the_old_journal_alone(path):
    old = _crowded(path)
    before = path.read_bytes()
    Journal.reserve(path.with_name("new"), 4 * ROW_BYTES, 2000, blob_bytes=4 * old.blob_bytes).copy_rows(old)
    assert path.read_bytes() == before


def test_full_ring_is_copied_whole(path):
    fields = [Field("a", np.dtype(np.uint8), (100_000,))]
    old = make(path, fields=fields, row_bytes=100_000, first_row=3)
    for row in range(3, 3 + old.capacity_rows):
        append(old, row)
    new = Journal.reserve(path.with_name("new"), 100_000, 2000, blob_bytes=2 * old.blob_bytes)
    new.copy_rows(old)
    for row in range(3, 3 + old.capacity_rows):
        check_row(new, row)


def test_copy_into_a_smaller_journal_is_refused(path):
    old = make(path, blob_bytes=30 << 20)
    small = Journal.reserve(path.with_name("small"), 8, 0)
    with pytest.raises(CorruptRecordingError, match="small has no room for the rows of"):
        small.copy_rows(old)


def test_journal_takes_the_place_of_another(path):
    old = make(path)
    new = make(path.with_name("new"), first_row=9)
    new.take_place(path)
    assert new.path == path
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert Journal.open(path).header["first_row"] == 9
    assert old.header["first_row"] == 0  # a process that has it mapped can still read it


# The writer's error -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "disk full", "añ😀\nsecond line", "x" * 4088], ids=["empty", "plain", "unicode", "page"]
)
def test_error_comes_back_and_marks_the_writer_as_failed(path, text):
    journal = Journal.reserve(path, 8, 0)
    assert journal.read_error() == ""
    journal.write_error(text)
    again = Journal.open(path)
    assert again.control[Control.WRITER] == WriterState.FAILED
    assert again.read_error() == text


@pytest.mark.parametrize("text", ["x" * 100_000, "ñ" * 100_000, "\ud800 x"], ids=["long", "long-unicode", "surrogate"])
def test_error_that_does_not_fit_is_cut_and_harms_nothing(path, text):
    journal = make(path)
    journal.write_error(text)
    assert journal.read_error()[:10].replace("?", "\ud800") == text[:10]
    assert len(journal.read_error()) <= 4088
    check_same(Journal.open(path), journal)


def test_later_error_replaces_an_earlier_one(path):
    journal = Journal.reserve(path, 8, 0)
    journal.write_error("a long first message")
    journal.write_error("short")
    assert journal.read_error() == "short"
