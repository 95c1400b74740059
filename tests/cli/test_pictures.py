"""What the commands that write pictures share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from gym_h5record.cli.pictures import cameras_text, check_picture, picture_options
from gym_h5record.cli.program import CommandError
from gym_h5record.errors import OptionError


def test_a_picture_that_exists_is_replaced_only_with_the_option(tmp_path: Path) -> None:
    target, recording = tmp_path / "run.png", tmp_path / "run.h5"
    check_picture(target, (".png",), recording, overwrite=False)
    target.touch()
    with pytest.raises(CommandError, match="run.png exists: choose another name, or replace it with --overwrite"):
        check_picture(target, (".png",), recording, overwrite=False)
    check_picture(target, (".png",), recording, overwrite=True)


def test_a_name_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"ends with .gif, got .mp4"):
        check_picture(tmp_path / "x.mp4", (".gif",), tmp_path / "run.h5", overwrite=False)


def test_the_options_of_pictures_come_as_arguments() -> None:
    given: dict[str, Any] = {}

    @click.command()
    @picture_options
    def paint(**options: Any) -> None:
        given.update(options)

    ended = CliRunner().invoke(paint, ["--fps", "5", "--camera", "a", "--camera", "b/c", "--bgr"])
    assert ended.exit_code == 0, ended.output
    assert given == {"fps": 5.0, "scale": None, "cameras": ("a", "b/c"), "bgr": True, "overwrite": False}


def test_names_of_cameras_cannot_drive_the_terminal() -> None:
    assert cameras_text(["a\x1b", "b"]) == " (a\\x1b, b)"
