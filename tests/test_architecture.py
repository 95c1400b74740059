"""The house: rooms import downwards, modules stay small, tests mirror them, nothing is swallowed."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import gym_h5record

ROOT = Path(gym_h5record.__file__).parent
REPOSITORY = Path(__file__).parents[1]
MODULES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}

MAX_MODULE_LINES = 330
MAX_FUNCTION_LINES = 70  # behind the docstring
OPTIONAL = (
    *("torch", "ray", "matplotlib", "av", "hdf5plugin", "PIL", "zstandard", "lz4", "pandas", "cv2", "ale_py"),
    "stable_baselines3",
)


def nodes(path, *kinds):
    """The nodes of these kinds in a module's syntax tree."""
    return [node for node in all_nodes(path) if isinstance(node, kinds)]


@functools.cache
def all_nodes(path):
    """All nodes of a module's syntax tree."""
    return [*ast.walk(tree_of(path))]


@functools.cache
def tree_of(path):
    """A module's syntax tree."""
    return ast.parse(path.read_text("utf-8"))


def lines(found):
    """Where nodes stand, for the message of a failure."""
    return [node.lineno for node in found]


def run(code, *options):
    """What a fresh interpreter prints."""
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


# Layers -------------------------------------------------------------------------------------------


def test_import_contracts_are_kept():
    pytest.importorskip("importlinter")
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--config", str(REPOSITORY / "pyproject.toml"), "--no-cache"]
    linted = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100, cwd=REPOSITORY)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "0 broken" in linted.stdout


def test_importing_the_package_loads_nothing_optional():
    code = f"import sys, gym_h5record; print([name for name in {OPTIONAL!r} if name in sys.modules])"
    assert run(code) == "[]"


def test_importing_the_package_does_not_load_the_command_line():
    names = ("click", "rich", "gym_h5record.cli")
    assert run(f"import sys, gym_h5record; print([name for name in {names!r} if name in sys.modules])") == "[]"


def test_importing_the_package_starts_no_thread_or_process():
    code = "import gym_h5record, threading, multiprocessing as m; print(threading.active_count(), m.active_children())"
    assert run(code) == "1 []"


def rooms_loaded_by(code):
    """The rooms of the package, and heavy libraries, that a fresh interpreter has loaded after ``code``."""
    heavy = {"gymnasium", "h5py", "numpy", "click", "rich"}
    loaded = run(f"{code}; import sys; print(*sys.modules)").split()
    return {name.split(".")[1] for name in loaded if "gym_h5record." in name} | heavy.intersection(loaded)


def test_importing_the_package_loads_no_room_and_no_library():
    assert rooms_loaded_by("import gym_h5record") <= {"registration", "version"}


def test_reading_loads_nothing_that_writes_mends_or_plays():
    loaded = rooms_loaded_by("from gym_h5record import Recording")
    assert "reading" in loaded
    assert not loaded & {"writing", "maintenance", "replay", "recorder", "cli"}


def test_the_writer_process_loads_no_room_above_it_and_no_gymnasium():
    loaded = rooms_loaded_by("import gym_h5record.writing.writer_process")
    assert "writing" in loaded
    assert not loaded & {"cli", "replay", "maintenance", "recorder", "reading", "gymnasium"}


def test_recording_with_a_writer_process_needs_no_h5py():
    assert "h5py" not in rooms_loaded_by("from gym_h5record import RecordToHDF5")


# Modules ------------------------------------------------------------------------------------------


def offences(find):
    """What a rule finds in each module in which it finds anything."""
    return {name: found for name, path in MODULES.items() if (found := find(path))}


def definitions(path):
    """The functions and classes that a module defines at its top level."""
    return [node for node in tree_of(path).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]


def test_no_module_is_a_box_of_odds_and_ends():
    boxes = {"utils", "util", "common", "helpers", "helper", "misc", "tools", "core"}
    assert offences(lambda path: path.stem in boxes) == {}


def test_modules_are_short_enough_to_read():
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > MAX_MODULE_LINES} == {}


def test_functions_fit_on_a_screen():
    assert offences(_long_functions) == {}


def _long_functions(path):
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef)
        if node.end_lineno - (node.body[1] if _has_docstring(node) and len(node.body) > 1 else node).lineno
        >= MAX_FUNCTION_LINES
    ]


def _has_docstring(node):
    return ast.get_docstring(node, clean=False) is not None


def test_modules_say_what_they_are_for():
    assert offences(lambda path: not ast.get_docstring(tree_of(path))) == {}


def test_modules_list_their_names():
    assert offences(_lists_no_names) == {}


def _lists_no_names(path):
    targets = {
        target.id
        for node in tree_of(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return "__all__" not in targets and any(not node.name.startswith("_") for node in definitions(path))


def test_conditions_are_checked_without_assert():
    assert offences(lambda path: lines(nodes(path, ast.Assert))) == {}


def test_no_exception_is_swallowed():
    assert offences(lambda path: lines(filter(_is_silent, nodes(path, ast.ExceptHandler)))) == {}


def _is_silent(handler):
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in handler.body
    )


def test_no_except_is_bare():
    assert offences(lambda path: lines(each for each in nodes(path, ast.ExceptHandler) if each.type is None)) == {}


def test_no_module_has_the_name_of_what_it_defines():
    assert offences(lambda path: path.stem in {node.name for node in definitions(path)}) == {}


def test_every_import_names_the_module_that_defines():
    """One name has one address: no module passes on what another one defines, but for the two that specs name."""
    assert offences(_passed_on) == {}


def _passed_on(path):
    return [
        f"{node.module}.{alias.name}"
        for node in nodes(path, ast.ImportFrom)
        if (node.module or "").startswith("gym_h5record")
        for alias in node.names
        if (source := ROOT.parent / f"{node.module.replace('.', '/')}.py").exists()
        and alias.name not in defined_names(source)
    ]


@functools.cache
def defined_names(path):
    """Names that a module defines at its top level, or lists as made on first use."""
    names = set()
    for node in tree_of(path).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(getattr(target, "id", "") == "__all__" for target in targets):
            names |= set(ast.literal_eval(node.value)) if isinstance(node.value, ast.List) else set()
        names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return names


def test_every_module_has_a_test_file_of_its_name():
    assert offences(_lacks_tests) == {}


def _lacks_tests(path):
    relative = path.relative_to(ROOT)
    is_tested = (REPOSITORY / "tests" / relative.parent / f"test_{relative.name}").exists()
    return not is_tested and path.stem not in ("__init__", "__main__", "version")


def test_modules_have_been_found():
    assert {"__init__.py", "format/names.py", "writing/commit.py"} <= MODULES.keys()


def test_a_rule_that_finds_something_names_the_module():
    assert offences(lambda path: path.stem == "ring") == {"writing/ring.py": True}
