"""The reference in ``docs/reference``: it has every public name, and no name that does not exist."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import gym_h5record as h5r
from gym_h5record import training

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "docs" / "reference").glob("*.md"))}
NEEDS_TORCH = ("gym_h5record.torch", "gym_h5record.sb3")


def directives(kind: str) -> list[str]:
    """The full names that directives of this kind have, on all pages."""
    found = []
    for text in PAGES.values():
        module = ""
        for directive, name in re.findall(r"^\.\. (\w+):: (\S+)$", text, re.MULTILINE):
            if directive == "currentmodule":
                module = name
            elif directive == kind:
                found.append(name if name.startswith("gym_h5record.") else f"{module}.{name}")
    return found


def described() -> list[object]:
    """The classes and functions in the reference."""
    objects = []
    for name in directives("autoclass") + directives("autofunction"):
        module, _, last = name.rpartition(".")
        objects.append(getattr(importlib.import_module(module), last))
    for name in directives("automodule"):
        if name not in NEEDS_TORCH:
            module = importlib.import_module(name)
            objects += [getattr(module, each) for each in module.__all__]
    return objects


@pytest.mark.parametrize("module", [h5r, h5r.vector, h5r.errors, training], ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module: object) -> None:
    modules = ("__version__", "errors", "training", "vector")  # the reference has what is in the three
    public = {name: getattr(module, name) for name in module.__all__ if name not in modules}
    in_reference = {id(each) for each in described()}
    assert [name for name, each in public.items() if id(each) not in in_reference] == []


@pytest.mark.parametrize("name", NEEDS_TORCH)
def test_every_name_of_a_module_that_needs_torch_is_in_the_reference(name: str) -> None:
    assert name in directives("automodule")  # which describes what ``__all__`` lists
    tree = ast.parse((ROOT / name.replace(".", "/")).with_suffix(".py").read_text("utf-8"))
    documented = {each.name for each in ast.walk(tree) if isinstance(each, ast.ClassDef) and ast.get_docstring(each)}
    lists = [each.value for each in tree.body if isinstance(each, ast.Assign) and each.targets[0].id == "__all__"]
    assert set(ast.literal_eval(lists[0])) <= documented


def test_no_name_is_in_the_reference_twice() -> None:
    names = [id(each) for each in described()]
    twice = {each for each in names if names.count(each) > 1}
    assert [each for each in described() if id(each) in twice] == []


def test_the_list_of_pages_has_each_of_them() -> None:
    listed = re.search(r"```\{toctree\}\n(?::.*\n)*\n(.*?)```", PAGES["index.md"], re.DOTALL)
    assert listed
    assert {f"{name}.md" for name in listed[1].split()} == PAGES.keys() - {"index.md"}
