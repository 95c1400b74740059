"""Everything that can be recorded, through everything that a recording is for: a matrix of kinds and uses."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces, wrappers

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.format.nodes import Stack
from gym_h5record.maintenance.repairs.salvaging import salvage
from scripts.crash.studio import CAMERAS as STUDIO_CAMERAS
from scripts.crash.studio import Studio
from tests.paintings import CAMERAS, expected_frame
from tests.test_spaces_of_other_packages import make_env as make_browser
from tests.treasures import DeepSea
from tests.writing import run_script
from tests.zoo import NAN_WITH_PAYLOAD, Played, check_identical, check_recorded, play

pytestmark = pytest.mark.compacted

LENGTHS = (7, 3, 7)
"""The most steps of each episode."""


class Film(gym.Env[np.ndarray, int]):
    """Shows a noisy picture. Not all of it is new."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [], "render_fps": 24}

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (32, 40), np.uint8)
        self.action_space = spaces.Discrete(3)
        self._picture = np.zeros((32, 40), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._picture[:] = 0
        return self._show(0), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return self._show(1 + action), float(action), bool(self.np_random.random() < 0.1), False, {}

    def _show(self, row: int) -> np.ndarray:
        self._picture[row] = self.np_random.integers(0, 256, 40)
        return self._picture.copy()


def no_extras(env: Any, step: int) -> dict[str, Any]:
    """An agent that adds nothing."""
    return {}


def extras(env: Any, step: int) -> dict[str, Any]:
    """What an agent knows, in numbers, arrays, and what is neither."""
    known = {
        "log_prob": -0.5 * step,
        "value": np.float32(step / 3),
        "logits": np.arange(step, step + 4, dtype=np.int16),
    }
    late = {"a/b": NAN_WITH_PAYLOAD, "json": (step, None), "prompt": "go \ud800" * step, "tokens": np.arange(step)}
    return known | (late if step % 2 else {})


@dataclass(frozen=True)
class Kind:
    """What is recorded.

    Attributes:
        make: Makes the environment.
        options: Of the recorder.
        extras: Takes the environment and the number of the step, and gives what the agent adds.
        frame: Takes the number of steps of the episode so far, and gives its picture; None where none is expected.
        discards: The episodes of which the agent discards the third step and all before it.
        lengths: The most steps of each episode.
        is_told: Whether the recorder warns of values that are not like the first ones.
        needs: The package that has the environment.
    """

    make: Callable[[], gym.Env[Any, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    extras: Callable[[Any, int], dict[str, Any]] = no_extras
    frame: Callable[[int], Any] | None = None
    discards: tuple[int, ...] = ()
    lengths: tuple[int, ...] = LENGTHS
    is_told: bool = False
    needs: str = "gymnasium"


def refuses_short(summary: h5r.EpisodeSummary) -> bool:
    """The option ``keep``: of two steps, an episode is not worth its room."""
    return summary.length != 2


def _painter(mode: str | None = None) -> gym.Env[Any, Any]:
    return gym.make("Painter-v0", render_mode=mode)


def _painted(mode: str) -> Kind:
    return Kind(partial(_painter, mode), frame=partial(expected_frame, mode))


KINDS: dict[str, Kind] = {
    "minigrid": Kind(partial(gym.make, "MiniGrid-Empty-5x5-v0"), needs="minigrid"),
    "babyai": Kind(partial(gym.make, "BabyAI-GoToRedBall-v0"), needs="minigrid"),
    "browser": Kind(make_browser, is_told=True),
    "rgb": _painted("rgb_array"),
    "ansi": _painted("ansi"),
    "depth": _painted("depth_array"),
    "rgbd": _painted("rgbd_tuple"),
    "cameras": Kind(_painter, {"frames": CAMERAS}, frame=partial(expected_frame, "cameras")),
    "extras": Kind(partial(gym.make, "CartPole-v1"), extras=extras),
    "without times": Kind(partial(gym.make, "CartPole-v1"), {"times": False, "infos": False}),
    "discards": Kind(
        partial(gym.make, "CartPole-v1"), {"keep": refuses_short}, discards=(1, 4), lengths=(7, 5, 2, 6, 5, 4)
    ),
    "vector rewards": Kind(DeepSea, lengths=(7, 3, 7, 7)),
    "stacks": Kind(lambda: wrappers.FrameStackObservation(Film(), 4)),
    "all at once": Kind(
        Studio,
        {"frames": STUDIO_CAMERAS, "keep": refuses_short, "checksum": True},
        extras=lambda env, step: env.unwrapped.extras(),
        discards=(1,),
        lengths=(7, 5, 2, 6),
        is_told=True,
    ),
}


def is_gone(kind: Kind, number: int, steps: int) -> bool:
    """Whether an episode is discarded, once it has so many steps and its end has come."""
    return steps > 2 if number in kind.discards else steps == 2 and "keep" in kind.options


class Agent(gym.Wrapper[Any, Any, Any, Any]):
    """Steps a recorder: adds extras, discards episodes, and may die behind one of its resets and steps.

    Attributes:
        added: The extras of each step, by episode.
    """

    def __init__(self, recorder: gym.Env[Any, Any], kind: Kind, dies_behind: int | None = None) -> None:
        super().__init__(recorder)
        self.added: list[list[dict[str, Any]]] = []
        self._kind, self._left = kind, dies_behind

    def reset(self, **options: Any) -> Any:
        self.added.append([])
        return self._done(self.env.reset(**options))

    def step(self, action: Any) -> Any:
        number = len(self.added[-1])
        known = self._kind.extras(self.env, number)
        self.added[-1].append(copy.deepcopy(known))
        self.env.add_extras(**known)
        result = self.env.step(action)
        if number == 2 and len(self.added) - 1 in self._kind.discards:
            self.env.discard_episode()
        return self._done(result)

    def _done(self, result: Any) -> Any:
        if self._left is not None:
            self._left -= 1
            if self._left == 2:
                self.env.flush()  # so that there is something in the file, and something in the journal
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
        return result


@dataclass
class Seen:
    """What an agent has seen of one episode, and what it has added."""

    played: Played
    extras: list[dict[str, Any]]

    @property
    def acts(self) -> int:
        """Its reset and its steps."""
        return 1 + len(self.played.actions)

    def cut(self, acts: int) -> Seen:
        """What was seen up to one of its acts."""
        played, steps = self.played, acts - 1
        more = {name: getattr(played, name)[:steps] for name in ("actions", "rewards", "terminations", "truncations")}
        both = {name: getattr(played, name)[:acts] for name in ("observations", "infos")}
        return Seen(replace(played, **more, **both), self.extras[:steps])


def perform(kind: Kind, path: Path, *, mode: str = "x", dies_behind: int | None = None) -> list[Seen]:
    """Record episodes; returns what was seen of all of them, discarded ones included."""
    with warnings.catch_warnings():
        if kind.is_told:
            warnings.simplefilter("ignore", RecordingWarning)
        recorder = h5r.RecordToHDF5(kind.make(), path, writer="inline", mode=mode, **kind.options)
        agent = Agent(recorder, kind, dies_behind)
        episodes = play(agent, kind.lengths)
        recorder.close()
    return [Seen(*each) for each in zip(episodes, agent.added, strict=True)]


def kept(kind: Kind, episodes: list[Seen], acts: int | None = None) -> list[Seen]:
    """What a recording has of episodes; of the first resets and steps if the recorder was killed behind them."""
    found = []
    for number, seen in enumerate(episodes):
        is_cut = acts is not None and acts < seen.acts
        part = seen.cut(acts) if acts is not None and is_cut else seen
        steps = part.acts - 1
        # ``keep`` is asked when an episode ends: not about one that the recorder did not live to see the end of.
        if not is_gone(kind, number, steps) or (is_cut and number not in kind.discards):
            found.append(part)
        if acts is not None:
            acts -= part.acts
            if acts <= 0:
                break
    return found


def check(path: Path, kind: Kind, episodes: list[Seen]) -> None:
    """Fail unless a recording has exactly what was seen, value by value and type by type."""
    with h5r.Recording(path) as recording:
        played = [seen.played for seen in episodes]
        if kind.options.get("infos", True):
            check_recorded(recording, played)
        for number, seen in enumerate(episodes):
            episode, steps = recording.episodes[number], len(seen.played.actions)
            for name in ("observations", "actions", "rewards", "terminations", "truncations"):
                check_identical([*getattr(episode, name)], getattr(seen.played, name), f"{name} of episode {number}")
            if kind.extras is not no_extras:
                check_identical([*episode.extras], seen.extras, f"extras of episode {number}")
            if kind.frame is not None:
                expected = [kind.frame(step) for step in range(steps + 1)]
                check_identical([*episode.frames], expected, f"frames of episode {number}")
            if kind.options.get("times", True):
                assert len(episode.times) == steps + 1
                assert (np.diff(episode.times) >= 0).all()
            else:
                assert episode.times is None


@dataclass
class Recorded:
    """A closed recording, which no test may change."""

    kind: Kind
    path: Path
    episodes: list[Seen]

    @property
    def played(self) -> list[Played]:
        """What was seen of the episodes in the file."""
        return [seen.played for seen in kept(self.kind, self.episodes)]


@pytest.fixture(scope="module", params=KINDS)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A recording of each kind."""
    kind = KINDS[request.param]
    pytest.importorskip(kind.needs)
    path = tmp_path_factory.mktemp("everything") / "run.h5"
    return Recorded(kind, path, perform(kind, path))


def test_it_comes_back_equal_in_values_dtypes_and_types(recorded: Recorded) -> None:
    check(recorded.path, recorded.kind, kept(recorded.kind, recorded.episodes))
    with h5r.Recording(recorded.path) as recording:
        is_stack = any(isinstance(node, Stack) for node in recording.schema.observation.walk())
        assert is_stack == (recorded.kind is KINDS["stacks"])
        gone = len(recorded.episodes) - recording.num_episodes
        assert (
            gone
            == recording.metadata["discarded_episodes"]
            == len(recorded.kind.discards) + (recorded.kind.lengths.count(2) if "keep" in recorded.kind.options else 0)
        )


def test_nothing_is_wrong_with_it(recorded: Recorded) -> None:
    problems = {(each.code, each.place.split()[0]) for each in h5r.validate(recorded.path, deep=True)}
    of_pages = {("not-finite", f"/observations/{name}") for name in ("tree", "goal")}  # which hold NaN
    assert problems == (of_pages if recorded.kind.make is make_browser else set())


def test_the_environment_does_the_same_again(recorded: Recorded) -> None:
    report = h5r.verify(recorded.path, env=recorded.kind.make)
    assert report.ok, report.first_divergence
    assert report.num_episodes == len(recorded.played)
    assert all(each.independent for each in report.episodes)


def test_it_is_replayed(recorded: Recorded) -> None:
    has_infos = recorded.kind.options.get("infos", True)
    with h5r.ReplayFromHDF5(recorded.path, on_mismatch="raise") as env:
        for played in recorded.played:
            observation, info = env.reset()
            check_identical(observation, played.observations[0], "first observation")
            check_identical(info, played.infos[0] if has_infos else {}, "first info")
            for step, action in enumerate(played.actions):
                if recorded.kind.frame is not None:
                    check_identical(env.render(), recorded.kind.frame(step), f"picture {step}")
                observation, reward, terminated, truncated, info = env.step(action)
                check_identical(observation, played.observations[step + 1], f"observation {step + 1}")
                check_identical((reward, terminated), (played.rewards[step], played.terminations[step]), f"step {step}")
                is_last = step == len(played.actions) - 1
                assert truncated is (True if is_last and not played.complete else played.truncations[step])
                if has_infos and not (is_last and not played.complete):  # a replay says that it is cut short
                    check_identical(info, played.infos[step + 1], f"info {step + 1}")


@pytest.mark.sampled(5)
def test_it_is_branched(recorded: Recorded) -> None:
    for number, played in enumerate(recorded.played):
        at = len(played.actions) // 2
        env, observation, _ = h5r.branch(recorded.path, episode=number, step=at, env=recorded.kind.make)
        check_identical(observation, played.observations[at], f"observation {at} of episode {number}")
        for step in range(at, len(played.actions)):
            observation, reward, *flags, _ = env.step(copy.deepcopy(played.actions[step]))
            check_identical(observation, played.observations[step + 1], f"observation {step + 1} of episode {number}")
            check_identical(reward, played.rewards[step], f"reward {step}")
            check_identical(flags, [played.terminations[step], played.truncations[step]], f"flags {step}")
        env.close()


@pytest.mark.sampled(5)
def test_a_second_recording_of_the_same_is_no_other(recorded: Recorded, tmp_path: Path) -> None:
    perform(recorded.kind, tmp_path / "twin.h5")
    report = h5r.diff(recorded.path, tmp_path / "twin.h5")
    assert (report.ok, report.metadata, report.leaf) == (True, (), None)


@pytest.mark.sampled(5)
def test_a_salvaged_copy_is_no_other(recorded: Recorded, tmp_path: Path) -> None:
    salvage(recorded.path, tmp_path / "copy.h5")
    assert h5r.diff(recorded.path, tmp_path / "copy.h5").ok
    check(tmp_path / "copy.h5", recorded.kind, kept(recorded.kind, recorded.episodes))


@pytest.mark.sampled(5)
def test_more_is_appended(recorded: Recorded, tmp_path: Path) -> None:
    path = Path(shutil.copy(recorded.path, tmp_path / "run.h5"))
    again = perform(recorded.kind, path, mode="a")
    check(path, recorded.kind, [*kept(recorded.kind, recorded.episodes), *kept(recorded.kind, again)])


# Killed -------------------------------------------------------------------------------------------

INSTANTS = (3, 11, 14)
"""Behind how many resets and steps recorders are killed; two of them are not committed yet."""

KILLED = """
import os, sys, warnings
from pathlib import Path
import gymnasium as gym
from tests.paintings import Painter
from tests.test_everything import INSTANTS, KINDS, perform
gym.register("Painter-v0", Painter)
warnings.simplefilter("ignore")
for name in sys.argv[2:]:
    __import__(KINDS[name].needs)
    for instant in INSTANTS:
        path = Path(sys.argv[1], name, str(instant), "run.h5")
        path.parent.mkdir(parents=True)
        if not os.fork():
            perform(KINDS[name], path, dies_behind=instant)
            os._exit(1)
        _, status = os.wait()
        print("end:", name, instant, os.waitstatus_to_exitcode(status))
"""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for each kind, with one for each instant: what recorders that were killed there have left."""
    directory = tmp_path_factory.mktemp("killed")
    names = [name for name, kind in KINDS.items() if find_spec(kind.needs)]
    said = run_script(KILLED, directory, *names).stdout.splitlines()  # what environments say is among it
    ends = [line for line in said if line.startswith("end: ")]
    assert ends == [f"end: {name} {instant} {-signal.SIGKILL}" for name in names for instant in INSTANTS]
    return directory


@pytest.mark.long
@pytest.mark.sampled(10)
@pytest.mark.parametrize("instant", INSTANTS)
def test_nothing_is_lost_when_its_recorder_is_killed(
    recorded: Recorded, instant: int, left: Path, request: pytest.FixtureRequest
) -> None:
    name = next(name for name, kind in KINDS.items() if kind is recorded.kind)
    path, expected = left / name / str(instant) / "run.h5", kept(recorded.kind, recorded.episodes, instant)
    if instant == INSTANTS[-1]:  # appending completes it first
        expected += kept(recorded.kind, perform(recorded.kind, path, mode="a"))
    else:
        assert h5r.repair(path).num_steps == sum(len(seen.played.actions) for seen in expected)
    check(path, recorded.kind, expected)
    assert [each.severity for each in h5r.validate(path, deep=True) if each.severity is h5r.Severity.ERROR] == []
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]
