"""Versions, platform and ROM: the installed ones, found without importing a library."""

import hashlib
import platform
import subprocess
import sys

import ale_py
import numpy as np
import pytest

from gym_h5record.recorder.platform_facts import library_versions, platform_names, rom_md5


def test_versions_are_those_of_what_is_installed():
    found = library_versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert all(type(version) is str and version for version in found.values())


def test_more_can_be_looked_for():
    assert library_versions(["pytest", "no such library", "", "../numpy"]) == {
        **library_versions(),
        "pytest": pytest.__version__,
    }


def test_platform_is_this_one():
    assert platform_names() == {"system": platform.platform(), "machine": platform.machine()}


def test_looking_imports_no_library():
    code = (
        "import sys; from gym_h5record.recorder.platform_facts import *; library_versions(); platform_names(); "
        "print([name for name in ('ale_py', 'pygame', 'cv2') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_rom_is_told_by_its_md5():
    rom = ale_py.roms.get_rom_path("pong").read_bytes()
    assert rom_md5("pong") == hashlib.md5(rom, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("game", ["no such game", "../pong", "/etc/passwd", ""])
def test_a_game_that_is_none_has_no_rom(game):
    assert rom_md5(game) is None


def test_without_ale_there_is_no_rom(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py.roms", None)
    assert rom_md5("pong") is None
