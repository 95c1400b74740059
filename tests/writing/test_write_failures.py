"""Errors of a failed writer say what has failed, where, and what to do."""

from __future__ import annotations

from pathlib import Path

from gym_h5record.writing.write_failures import describe_error, writer_error


def test_an_error_names_the_recording_the_cause_and_two_ways_to_go_on() -> None:
    message = str(writer_error(Path("/data/run.h5"), "the disk is full"))
    assert message.startswith("recording to /data/run.h5 has failed: the disk is full. ")
    for part in ("run.h5.journal", "gym_h5record.repair('/data/run.h5')", 'mode="a"'):
        assert part in message


def test_an_error_of_several_lines_is_described_in_one() -> None:
    assert describe_error(RuntimeError("HDF5:\n  many\n  lines")) == "RuntimeError: HDF5: many lines"
