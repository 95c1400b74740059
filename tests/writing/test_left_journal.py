"""A text that tells one start of the machine from another."""

from __future__ import annotations

from pathlib import Path

import pytest

from gym_h5record.writing import left_journal
from gym_h5record.writing.left_journal import boot_id
from tests.writing import run_script


def test_it_is_the_same_for_all_processes() -> None:
    said = run_script("from gym_h5record.writing.left_journal import boot_id; print(boot_id())").stdout
    assert said == f"{boot_id()}\n"


@pytest.mark.skipif(not left_journal._BOOT_ID.exists(), reason="this system has none")
def test_it_is_what_the_kernel_says() -> None:
    assert boot_id() == left_journal._BOOT_ID.read_text().strip() != ""


def test_it_is_empty_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_journal, "_BOOT_ID", tmp_path / "nothing")
    assert boot_id() == ""
