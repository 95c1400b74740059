"""The program as a whole: its entry points and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click
import pytest

import gym_h5record as h5r
from gym_h5record.cli import main
from gym_h5record.errors import WriterError


def test_the_version_is_that_of_the_package(cli: Any) -> None:
    assert cli("--version").stdout == f"gym-h5record, version {h5r.__version__}\n"


@pytest.mark.parametrize(
    "command", ["record", "info", "replay", "video", "stats", "validate", "verify", "diff", "repair", "tail"]
)
def test_every_command_has_help(cli: Any, command: str) -> None:
    assert command in cli("--help").stdout
    result = cli(command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_it_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gym_h5record", "info", "absent.h5"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: there is no recording at")


def test_wrong_usage_is_2(cli: Any) -> None:
    assert cli("no-such-command").exit_code == 2
    assert cli("info").exit_code == 2


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (WriterError("the disk is \x1b[31mfull\nfree some"), 1, "error: the disk is \\x1b[31mfull\nfree some\n"),
        (KeyboardInterrupt(), 3, "interrupted\n"),
    ],
)
def test_errors_and_interrupts_have_codes_of_their_own(
    cli: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.setitem(main.commands, "fail", fail)
    result = cli("fail")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", message)


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "message"),
    [
        (("info", "absent.h5", "--json"), 1, "RecordingNotFoundError", "there is no recording at "),
        (("replay", "--json", "absent.h5"), 1, "RecordingNotFoundError", "there is no recording at "),
        (("verify", "absent.h5", "--json"), 1, "RecordingNotFoundError", "there is no recording at "),
        (("stats", "--json"), 2, "MissingParameter", "Missing argument 'PATH'"),
        (("info", "--jason", "--json"), 2, "NoSuchOption", "--jason"),
        (("nonsense", "--json"), 2, "NoSuchCommand", "nonsense"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_with_json_an_error_is_an_object_too(
    cli: Any, arguments: tuple[str, ...], code: int, kind: str, message: str
) -> None:
    result = cli(*arguments)
    assert (result.exit_code, result.stderr) == (code, "")
    error = json.loads(result.stdout)["error"]
    assert message in error["message"]
    assert error["type"] in (kind, "UsageError")  # click 8.1 has fewer kinds


def test_tail_tells_an_error_in_its_last_line(cli: Any) -> None:
    result = cli("tail", "absent.h5", "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    (end,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (end["event"], end["reason"]) == ("end", "error")


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["--version"], 0), (["no-such-command"], 2)])
def test_help_version_and_a_mistyped_verb_import_no_machinery(arguments: list[str], code: int) -> None:
    program = f"""
import sys
from gym_h5record.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    loaded = {{name.partition(".")[0] for name in sys.modules}} & {{"h5py", "numpy", "gymnasium", "rich", "PIL"}}
    loaded |= {{name for name in sys.modules if name.startswith("gym_h5record.")}}
    print(end.code, sorted(loaded), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    own = ["cli", "cli.program", "cli.verbs", "display", "registration", "version"]
    assert ended.stderr.splitlines()[-1] == f"{code} {[f'gym_h5record.{name}' for name in own]}"
