"""Registration: Gymnasium finds the replay, whichever package is imported first; the package does not import it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import gymnasium as gym
import pytest

from gym_h5record.registration import REPLAY_ID, register_with_gymnasium


def run(code: str) -> str:
    """Run code in a new interpreter, where warnings are errors; the text it prints."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


CHECK = """
import sys
entry = gym.registry["gym_h5record/Replay-v0"]
assert entry.entry_point == "gym_h5record.replay:ReplayFromHDF5", entry
print([each for each in sys.meta_path if "gym_h5record" in type(each).__module__])
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import gym_h5record, gymnasium as gym",
        "import gymnasium as gym, gym_h5record",
        "import gym_h5record, gymnasium.spaces, gymnasium as gym",
        "import gym_h5record, gymnasium.envs.registration, gymnasium as gym",
        "from gym_h5record import Recording; import gymnasium as gym",
        "import gym_h5record; from gym_h5record.errors import StepBeforeResetError; import gymnasium as gym",
    ],
)
def test_the_replay_is_registered_once_whatever_is_imported_first(imports: str) -> None:
    assert run(f"{imports}\n{CHECK}") == "[]"  # the package's finder is gone


def test_importing_the_package_does_not_import_gymnasium() -> None:
    assert run("import sys, gym_h5record; print('gymnasium' in sys.modules)") == "False"


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("first", ["gym_h5record", "gymnasium"])
def test_reloading_the_package_registers_nothing_twice(first: str, times: int) -> None:
    code = f"""
        import importlib, {first}, gym_h5record, gym_h5record.registration
        for _ in range({times}):
            importlib.reload(gym_h5record.registration)
            importlib.reload(gym_h5record)
        import gymnasium as gym
    """
    assert run(f"{textwrap.dedent(code)}\n{CHECK}") == "[]"


def test_looking_for_the_spec_of_gymnasium_changes_nothing() -> None:
    code = """
        import importlib.util, gym_h5record
        before = importlib.util.find_spec("gymnasium")
        import gymnasium as gym
        assert type(before.loader) is type(gym.__spec__.loader) is type(gym.__loader__)
    """
    assert run(f"{textwrap.dedent(code)}\n{CHECK}") == "[]"


def test_resources_of_gymnasium_can_be_read() -> None:
    code = """
        import importlib.resources, gym_h5record, gymnasium
        print((importlib.resources.files("gymnasium") / "py.typed").is_file())
    """
    assert run(code) == "True"


def test_the_package_may_be_imported_while_another_thread_imports_gymnasium() -> None:
    code = """
        import numpy, sys, threading
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=__import__, args=(name,)) for name in ("gymnasium", "gym_h5record")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        import gymnasium as gym
    """
    assert run(f"{textwrap.dedent(code)}\n{CHECK}") == "[]"


def test_registering_again_keeps_the_first_entry() -> None:
    entry = gym.registry[REPLAY_ID]
    register_with_gymnasium()
    assert gym.registry[REPLAY_ID] is entry
