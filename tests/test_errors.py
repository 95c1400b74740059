"""Errors: one root class, Python's built-in types as further bases, and a docstring whose tree is true."""

import inspect
import pickle
import re
import subprocess
import sys

import pytest
from gymnasium.error import ResetNeeded

from gym_h5record import errors
from gym_h5record.errors import RecordingError, RecordingWarning

ERRORS = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if cls.__module__ == errors.__name__ and issubclass(cls, Exception) and cls is not RecordingWarning
]

every_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


def _drawn_tree():
    """The tree in the docstring: by the name of an error, its parent and the built-in type beside it."""
    stack, tree = [RecordingError.__name__], {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"    (?P<indent>[│ ]*)[├└]── (?P<name>\w+) +(?P<base>[A-Z]\w+)?", line)
        if match:
            del stack[len(match["indent"]) // 4 + 1 :]
            tree[match["name"]] = (stack[-1], match["base"])
            stack.append(match["name"])
    return tree


def test_the_tree_in_the_docstring_names_every_error():
    assert set(_drawn_tree()) | {"RecordingError"} == {error.__name__ for error in ERRORS}


@pytest.mark.parametrize(("name", "drawn"), _drawn_tree().items(), ids=list(_drawn_tree()))
def test_the_tree_in_the_docstring_is_true(name, drawn):
    parent, base = drawn
    error = getattr(errors, name)
    assert getattr(errors, parent) in error.__bases__
    if base is not None:
        assert base in {each.__name__ for each in error.__bases__}


@every_error
def test_every_error_is_a_recording_error(error):
    assert issubclass(error, RecordingError)


@every_error
def test_the_text_of_an_error_is_its_message(error):
    assert str(error("what to do")) == "what to do"


@every_error
def test_an_error_comes_back_from_pickle(error):
    again = pickle.loads(pickle.dumps(error("what to do")))
    assert type(again) is error
    assert str(again) == "what to do"


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.RecordingExistsError, FileExistsError),
        (errors.RecordingNotFoundError, FileNotFoundError),
        (errors.RecordingInUseError, BlockingIOError),
        (errors.WriterError, OSError),
        (errors.NotARecordingError, ValueError),
        (errors.FormatVersionError, errors.NotARecordingError),
        (errors.OptionError, ValueError),
        (errors.RenderModeError, errors.OptionError),
        (errors.UnsupportedSpaceError, TypeError),
        (errors.MissingDependencyError, ImportError),
        (errors.StepBeforeResetError, ResetNeeded),
        (errors.StepBeforeResetError, RuntimeError),
        (errors.EndOfEpisodeError, IndexError),
        (errors.ActionMismatchError, ValueError),
    ],
    ids=lambda each: each.__name__,
)
def test_an_error_is_caught_by_its_builtin_type(error, builtin):
    with pytest.raises(builtin, match="^message$"):
        raise error("message")


def test_the_warning_is_no_error():
    assert issubclass(RecordingWarning, UserWarning)
    assert not issubclass(RecordingWarning, RecordingError)


def test_all_lists_every_class():
    assert sorted(errors.__all__) == sorted([*(error.__name__ for error in ERRORS), "RecordingWarning"])


def test_importing_the_errors_does_not_import_gymnasium():
    look = "print('gymnasium' in sys.modules)"
    use = "assert errors.StepBeforeResetError is errors.StepBeforeResetError"
    command = [sys.executable, "-c", f"import sys; from gym_h5record import errors; {look}; {use}; {look}"]
    assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout == "False\nTrue\n"


def test_an_unknown_name_in_the_module_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'NoSuchError'"):
        errors.NoSuchError  # noqa: B018
