"""States as text: they come back, and a stranger's text is bounded."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.snapshot_text import packed_state, unpacked_state, unpacked_states


@given(st.binary(max_size=3000) | st.text(st.characters(max_codepoint=127), max_size=1100).map(str.encode))
def test_a_state_comes_back_from_its_text(state):
    assert unpacked_state(packed_state(state)) == state
    assert unpacked_state(list(packed_state(state))) == state  # as JSON has it


@pytest.mark.parametrize(
    ("state", "form"),
    [
        (b"", "text"),
        (b'[[0,"rng"]]\0\n', "text"),
        (b"x" * 1023, "text"),
        (b"x" * 1024, "zlib"),
        (b"\x80", "plain"),
        (bytes(range(256)) * 5, "zlib"),
    ],
    ids=range(6),
)
def test_a_short_text_stands_as_it_is(state, form):
    """In base64, gzip would not see that states are alike: 1.3 bytes more for a step of CartPole."""
    found, text = packed_state(state)
    assert found == form
    assert form != "text" or text == state.decode()


@pytest.mark.parametrize("state", [b"", b"[]", b"\xff\0"])
def test_states_of_earlier_files_are_read(state):
    assert unpacked_state(["plain", base64.b64encode(state).decode()]) == state


@pytest.mark.parametrize(
    "text",
    [
        7,
        None,
        "text",
        ["plain"],
        ["plain", 7],
        ["plain", "no base64!"],
        ["plain", "é"],
        ["text", "é"],
        ["text", 7],
        ["text", ["[]"]],
        ["lzma", "AAAA"],
        [[], "AAAA"],
        ["zlib", "AAAA"],
        ["zlib", base64.b64encode(zlib.compress(b"state")[:-3]).decode()],
    ],
    ids=repr,
)
def test_what_is_no_state_is_refused(text):
    with pytest.raises(CorruptRecordingError):
        unpacked_state(text)


def test_a_state_that_inflates_without_end_is_refused():
    assert unpacked_state(packed_state(bytes(3000)), 3000) == bytes(3000)
    for size in (3001, 1 << 20):
        with pytest.raises(CorruptRecordingError, match="more than 3000 bytes"):
            unpacked_state(packed_state(bytes(size)), 3000)
    with pytest.raises(CorruptRecordingError, match="more than 3 bytes"):
        unpacked_state(packed_state(b"four"), 3)


@pytest.mark.parametrize("texts", [[], 7, {"a\0b": packed_state(b"")}, {"a": 7}, {7: packed_state(b"")}], ids=repr)
def test_what_is_no_snapshot_is_refused(texts):
    with pytest.raises(CorruptRecordingError):
        unpacked_states(texts)


def test_states_that_are_large_together_are_refused(monkeypatch):
    monkeypatch.setattr("gym_h5record.limits.MAX_ITEM_BYTES", 1000)
    texts = {name: packed_state(bytes(400)) for name in "ab"}
    assert unpacked_states(texts) == {"a": bytes(400), "b": bytes(400)}
    with pytest.raises(CorruptRecordingError, match="more than 200 bytes"):
        unpacked_states({**texts, "c": packed_state(bytes(400))})
