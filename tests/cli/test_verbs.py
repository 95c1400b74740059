"""The list of verbs agrees with the commands that it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from gym_h5record.cli import commands, main
from gym_h5record.cli.verbs import HELP_BY_VERB, LazyCommand


def test_every_verb_has_a_module_and_every_module_a_verb() -> None:
    modules = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules == set(HELP_BY_VERB) == set(main.commands)


@pytest.mark.parametrize("verb", HELP_BY_VERB)
def test_the_help_of_a_verb_is_the_first_sentence_of_its_command(verb: str) -> None:
    command = LazyCommand(verb).load()
    assert command.name == verb
    assert command.get_short_help_str(limit=1000) == HELP_BY_VERB[verb]


def test_the_list_of_verbs_has_one_line_for_each(cli: Any) -> None:
    lines = cli("--help").stdout.partition("Commands:\n")[2].splitlines()
    assert lines == [f"  {verb:8}  {HELP_BY_VERB[verb]}" for verb in sorted(HELP_BY_VERB)]


def test_the_options_of_a_verb_are_those_of_its_command(cli: Any) -> None:
    assert cli("info", "run.h5", "--no-such-option").exit_code == 2
    context = main.commands["info"].make_context("info", ["run.h5", "--json"], parent=click.Context(main))
    assert context.params == {"path": Path("run.h5"), "storage": False, "as_json": True}
