"""How Sphinx builds the site: ``python -m sphinx -W docs site``. It downloads nothing, and neither do the pages."""

from __future__ import annotations

import inspect
from typing import Any

from docutils import nodes

from gym_h5record.version import __version__

project = "gym_h5record"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!gym_h5record\.).*"),  # of other packages: Sphinx would have to download the list of their names
    ("py:.*", r"gym_h5record\.(format|storage)\..*"),  # rooms without a public name
    ("py:.*", r".*\.(AnySpace|Moments|RowSample)"),  # in signatures that a user does not call
]
myst_heading_anchors = 3  # for links such as ``durability.md#crashes``

autodoc_mock_imports = ["torch", "stable_baselines3"]
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_use_ivar = True  # so that an attribute is described once

highlight_language = "none"  # trees and commands are not Python; a block of Python says so

html_theme = "furo"
html_title = f"gym_h5record {__version__}"
html_copy_source = html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_dark_style = "a11y-high-contrast-dark"  # furo's own underlines the names of modules, as if they were links
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True


def command_help() -> str:
    """A section for the program, and one for each of its commands, with what ``--help`` prints on 80 columns."""
    from click.testing import CliRunner

    from gym_h5record.cli import main

    sections = []
    for verb in ["", *main.commands]:
        command = f"gym-h5record {verb}".strip()
        arguments = [*command.split()[1:], "--help"]
        printed = CliRunner().invoke(main, arguments, prog_name="gym-h5record", terminal_width=80)
        sections.append(f"\n## {command}\n\n```text\n{printed.output}```\n")
    return "".join(sections)


def end_with_help(_: Any, name: str, source: list[str]) -> None:
    """Let the page ``reference/command_line`` end with the help of every command."""
    if name == "reference/command_line":
        source[0] += command_help()


def keep_colon(_: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from taking the words before a colon for the type of a property: it takes this empty comment."""
    if what == "property":
        lines[:0] = ["..", ""]


def show_arguments(
    _: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Show the arguments of a class whose base belongs to a library that is not installed: Sphinx shows the base's."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    arguments = list(inspect.signature(obj.__init__).parameters.values())[1:]
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in arguments]
    return str(inspect.Signature(plain)), returns


def strip_code(_: Any, document: nodes.document) -> None:
    """Take the empty line from the end of every example: only the tests need it."""
    for block in document.findall(nodes.literal_block):
        block.rawsource = block.astext().rstrip()
        block[:] = [nodes.Text(block.rawsource)]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", end_with_help)
    app.connect("doctree-read", strip_code)
    app.connect("autodoc-process-signature", show_arguments)
    app.connect("autodoc-process-docstring", keep_colon, priority=1)  # before napoleon
