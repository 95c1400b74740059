"""A zoo for all tests: spaces of every kind, values that storage easily changes, and an environment that shows them.

``SPACES`` has pairs of an id and a space; ``every_space`` parametrises a test with them. ``ZooEnv`` is an
environment over any of them. ``play`` steps an environment and keeps an exact copy of everything that passed, and
``check_recorded`` compares that copy with a recording.
"""

from __future__ import annotations

import copy
import gc
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, OneOf, Text, Tuple

from gym_h5record import Recording
from gym_h5record.values.exact import identical

DTYPES = (
    np.bool_,
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.float16,
    np.float32,
    np.float64,
)
"""Every dtype that a Box may have and a column can hold."""

ODD_KEYS: tuple[Any, ...] = (
    "",
    " ",
    ".",
    "..",
    "/",
    "x/y",
    "%2F",
    "~1",
    "$array",
    "values",
    "ends",
    "json",
    "ключ 键 😀",
    "tab\tnul\0",
    "\ud800",
    "\udfff!",
    1,
    "1",
    -1,
    (2, 3),
    ("a", (None, 1.5)),
    None,
    2.5,
    b"bytes",
    frozenset({1, 2}),
)
"""Keys that a Dict space may have. Most of them cannot be the name of an HDF5 link as they are."""

ANY_UNICODE = "aZ09 _\t\n\x7f'\"\\/%ñßЖ中\u200d\u202e\uffff😀\U0010ffff"
LONE_SURROGATES = "a\udc00b\udfff\ud800"


def _pair() -> Box:
    """A new Box each time: two spaces that hold the same Box would share its generator."""
    return Box(0, 1, (2,), np.float32)


def _text(max_length: int) -> Text:
    """A Text of three characters: Gymnasium copies the charset for every item of a sampled graph or sequence."""
    return Text(max_length, charset="abc")


def _extremes(dtype: Any) -> Box:
    kind = np.dtype(dtype).kind
    if kind == "f":
        return Box(-np.inf, np.inf, (2, 3), dtype)
    if kind == "b":
        return Box(0, 1, (3,), dtype)
    limits = np.iinfo(dtype)
    return Box(limits.min, limits.max, (3,), dtype)


def _boxes() -> Iterator[tuple[str, gym.Space[Any]]]:
    for dtype in DTYPES:
        yield f"Box-{np.dtype(dtype).name}", _extremes(dtype)
    yield "Box-rank0", Box(-np.inf, np.inf, (), np.float64)
    yield "Box-rank0-uint8", Box(0, 255, (), np.uint8)
    yield "Box-rank4", Box(-1, 1, (2, 1, 3, 2), np.float32)
    yield "Box-picture", Box(0, 255, (6, 5, 3), np.uint8)
    yield "Box-chunked", Box(0, 255, (40, 30), np.uint8)
    yield "Box-half-bounded", Box(np.array([0, -np.inf, -1]), np.array([np.inf, 1, 1]), dtype=np.float64)
    yield "Box-own-bounds", Box(np.array([[0.1], [-2]], np.float32), np.array([[0.7], [3]], np.float32))
    yield "Box-one-point", Box(3, 3, (2,), np.int16)
    yield "Box-uint64-beyond-int64", Box(0, 2**64 - 1, (2,), np.uint64)
    yield "Box-int64-limits", Box(-(2**63), 2**63 - 1, (2,), np.int64)
    yield "Box-no-elements", Box(0, 1, (0,), np.float32)
    yield "Box-no-elements-rank3", Box(0, 1, (2, 0, 3), np.int8)


def _numbers() -> Iterator[tuple[str, gym.Space[Any]]]:
    yield "Discrete", Discrete(5)
    yield "Discrete-one", Discrete(1)
    yield "Discrete-start", Discrete(5, start=-2)
    yield "Discrete-int32", Discrete(3, dtype=np.int32)
    yield "Discrete-uint8", Discrete(3, dtype=np.uint8)
    yield "Discrete-int8-start", Discrete(100, start=-128, dtype=np.int8)
    yield "Discrete-large", Discrete(2**62, start=-(2**61))
    yield "MultiDiscrete", MultiDiscrete([3, 4])
    yield "MultiDiscrete-2d-start", MultiDiscrete([[3, 4], [2, 2]], start=[[1, -1], [0, 7]])
    yield "MultiDiscrete-3d-uint8", MultiDiscrete(np.full((2, 1, 2), 5), dtype=np.uint8)
    yield "MultiBinary", MultiBinary(3)
    yield "MultiBinary-2d", MultiBinary([2, 3])
    yield "MultiBinary-rank1", MultiBinary((4,))


def _texts() -> Iterator[tuple[str, gym.Space[Any]]]:
    yield "Text", Text(10)
    yield "Text-may-be-empty", Text(3, min_length=0)
    yield "Text-only-empty", Text(0, min_length=0)
    yield "Text-unicode", Text(20, min_length=0, charset=ANY_UNICODE)
    yield "Text-surrogates", Text(6, charset=LONE_SURROGATES)


def _dicts_and_tuples() -> Iterator[tuple[str, gym.Space[Any]]]:
    yield "Dict", Dict(a=Discrete(3), b=_pair())
    yield "Dict-empty", Dict()
    yield "Dict-unsorted", Dict([("z", _pair()), ("a", Discrete(2)), ("m", Text(2))])
    yield "Dict-odd-keys", Dict([(key, Discrete(3)) for key in ODD_KEYS])
    yield "Dict-odd-keys-deep", Dict([("", Dict([(".", Dict([("x/y", Text(3)), ("x%2Fy", _pair())]))]))])
    yield (
        "Dict-clashing-keys",
        Dict([(1, _pair()), ("1", Discrete(2)), ("1~1", Discrete(2)), ((1,), _pair()), ("(1,)", _pair())]),
    )
    yield "Dict-of-empties", Dict(a=Dict(), b=Tuple(()), c=Box(0, 1, (0,), np.float32))
    yield "Dict-named-like-fields", Dict(values=Text(2), ends=spaces.Sequence(_pair()), parts=Graph(_pair(), None))
    yield "Tuple", Tuple((_pair(), Discrete(2)))
    yield "Tuple-empty", Tuple(())
    yield "Tuple-nested", Tuple((Tuple((Tuple((_pair(),)), Text(3))), Dict(a=Tuple((Discrete(2), MultiBinary(2))))))


def _sequences() -> Iterator[tuple[str, gym.Space[Any]]]:
    items: dict[str, gym.Space[Any]] = {
        "Box": _pair(),
        "Box-rank0": Box(0, 1, (), np.float32),
        "Box-no-elements": Box(0, 1, (0,), np.float32),
        "Box-float16": Box(-1, 1, (2, 2), np.float16),
        "Discrete": Discrete(4),
        "Discrete-uint8": Discrete(4, dtype=np.uint8),
        "MultiDiscrete": MultiDiscrete([[3, 4], [2, 2]]),
        "MultiBinary": MultiBinary(3),
        "Text": Text(5, min_length=0),
        "Dict": Dict(a=_pair(), b=Discrete(2)),
        "Dict-of-Text": Dict([("a", _text(3)), (1, spaces.Sequence(Discrete(2)))]),
        "Dict-empty": Dict(),
        "Tuple": Tuple((_pair(), Discrete(2), Tuple((MultiBinary(2),)))),
        "Sequence": spaces.Sequence(_text(4)),
        "Sequence-stacked": spaces.Sequence(_pair(), stack=True),
        "Graph": Graph(_pair(), Discrete(2)),
        "OneOf": OneOf([_pair(), Discrete(2)]),
    }
    for name, item in items.items():
        yield f"Sequence-of-{name}", spaces.Sequence(item)
        yield f"Sequence-stacked-of-{name}", spaces.Sequence(item, stack=True)


def _graphs_and_choices() -> Iterator[tuple[str, gym.Space[Any]]]:
    yield "Graph", Graph(_pair(), Discrete(3))
    yield "Graph-without-edges", Graph(_pair(), None)
    yield "Graph-discrete-nodes", Graph(Discrete(3), _pair())
    yield "Graph-of-trees", Graph(Dict(a=_pair(), b=Discrete(2)), Tuple((_pair(), Discrete(2))))
    yield "Graph-of-ragged", Graph(_text(3), spaces.Sequence(_pair()))
    yield "Graph-of-graphs", Graph(Graph(_pair(), Discrete(2)), OneOf([_pair(), _text(2)]))
    yield "OneOf", OneOf([_pair(), Discrete(3)])
    yield "OneOf-single", OneOf([_text(3)])
    yield "OneOf-of-ragged", OneOf([spaces.Sequence(Discrete(3)), Dict(a=_pair(), b=_text(4)), Graph(_pair(), _pair())])
    yield "OneOf-nested", OneOf([OneOf([_pair(), OneOf([Discrete(2), _text(2)])]), Discrete(3), Tuple(())])
    yield (
        "Tuple-of-ragged",
        Tuple((OneOf([_pair(), Discrete(2)]), Graph(_pair(), _pair()), _text(2), spaces.Sequence(_text(2)))),
    )
    yield (
        "Dict-of-ragged",
        Dict(s=spaces.Sequence(OneOf([_pair(), Discrete(2)])), t=_text(6), u=spaces.Sequence(_pair(), stack=True)),
    )
    yield (
        "Sequence-of-everything",
        spaces.Sequence(Tuple((spaces.Sequence(Graph(_text(2), None)), Dict(a=OneOf([_text(1), _pair()]))))),
    )


def _build_zoo() -> list[tuple[str, gym.Space[Any]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium warns of bounds that float16 rounds
        return [*_boxes(), *_numbers(), *_texts(), *_dicts_and_tuples(), *_sequences(), *_graphs_and_choices()]


SPACES: list[tuple[str, gym.Space[Any]]] = _build_zoo()
"""Pairs of an id and a space. All tests share them: seed a copy, as ``samples`` and ``ZooEnv`` do."""

SPACES_BY_ID: dict[str, gym.Space[Any]] = dict(SPACES)

every_space = pytest.mark.parametrize("space", [pytest.param(space, id=name) for name, space in SPACES])
"""Parametrises ``space`` over all of ``SPACES``."""

every_space_by_name = pytest.mark.parametrize("name", [*SPACES_BY_ID])
"""Parametrises ``name`` over the ids of ``SPACES``."""

some_spaces = pytest.mark.parametrize("space", [pytest.param(space, id=name) for name, space in SPACES[::7]])
"""Parametrises ``space`` over every seventh of ``SPACES``, for tests that depend little on the space."""

some_spaces_by_name = pytest.mark.parametrize("name", [*SPACES_BY_ID][::7])
"""Parametrises ``name`` over the ids of ``some_spaces``."""


def samples(space: gym.Space[Any], count: int, seed: int = 0) -> list[Any]:
    """Sample values of a space; equal arguments give equal values."""
    own = copy.deepcopy(space)
    own.seed(seed)
    return [own.sample() for _ in range(count)]


def open_descriptors() -> int:
    """The number of file descriptors that this process has open."""
    gc.collect()
    return sum(1 for _ in Path("/dev/fd").iterdir())


# Environments ------------------------------------------------------------------------------------


class ForeignArray:
    """An array-like of another library."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._array, dtype)


NAN_WITH_PAYLOAD = float(np.array([0x7FF8000000000DAD], np.uint64).view(np.float64)[0])
NEGATIVE_NAN = float(np.array([0xFFF8000000000000], np.uint64).view(np.float64)[0])

REWARDS: tuple[Any, ...] = (
    1.5,
    2,
    np.float32(0.1),
    np.float64(3),
    True,
    np.int64(-7),
    -0.0,
    float("nan"),
    NAN_WITH_PAYLOAD,
    float("-inf"),
    np.float16(0.25),
    np.bool_(True),
    np.uint8(200),
    2**53 + 1,
    5e-324,
)
"""Rewards of every type that environments return, some of which a cast would change."""


def passing_infos(step: int) -> dict[Any, Any]:
    """Infos whose keys come and go, and whose values change type."""
    infos: tuple[dict[Any, Any], ...] = (
        {"lives": 3, "x": 0.5, "name": "first"},
        {"lives": 2, "x": float("nan"), "array": np.arange(3, dtype=np.int16)},
        {},
        {"lives": np.int64(2), "x": 1, "nested": {"a": (1, [2.5, None]), 1: np.arange(step)}},
        {"lives": None, "array": np.arange(3, dtype=np.int16)[::-1], "x/y": True, "": "", 5: "five"},
        {"array": np.zeros((2, 2)), "text": "añ😀\ud800", "empty": {}, "none": None},
        {"x": NAN_WITH_PAYLOAD, "late": np.float32(1.5), "json": 1, "bytes": b"\0\xff", "set": {1, 2}},
    )
    return infos[step % len(infos)]


class ZooEnv(gym.Env[Any, Any]):
    """An environment that shows samples of a space; actions have no effect.

    Observations come from its own copy of the space, which every reset seeds.

    Args:
        space: The observation space.
        action_space: The action space; the observation space if None.
        rewards: The rewards, which are returned in turn.
        length: Steps until ``terminated``; without a reset, every ``length`` steps.
        infos: Takes the number of the step, 0 at a reset, and returns its info.
        seed: Seeds the resets that are given no seed.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 30}  # noqa: RUF012  # as Gymnasium has it

    def __init__(
        self,
        space: gym.Space[Any],
        action_space: gym.Space[Any] | None = None,
        rewards: Sequence[Any] = REWARDS,
        length: int = 9,
        infos: Callable[[int], dict[Any, Any]] = passing_infos,
        seed: int = 0,
    ) -> None:
        self.observation_space = copy.deepcopy(space)
        self.action_space = copy.deepcopy(space if action_space is None else action_space)
        self._rewards = tuple(rewards)
        self._length = length
        self._infos = infos
        self._seed = seed
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[Any, Any]]:
        super().reset(seed=seed)
        self._seed += 1
        self.observation_space.seed((self._seed if seed is None else seed) % 2**32)
        self._step = 0
        return self.observation_space.sample(), self._infos(0)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[Any, Any]]:
        self._step += 1
        reward = self._rewards[(self._step - 1) % len(self._rewards)]
        terminated = self._step % self._length == 0
        return self.observation_space.sample(), reward, terminated, False, self._infos(self._step)


# Episodes that were played, and their comparison with a recording ----------------------------------


@dataclass
class Played:
    """Exact copies of everything that passed in one episode."""

    seed: int | None = None
    options: dict[str, Any] | None = None
    observations: list[Any] = field(default_factory=list)
    infos: list[Any] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    rewards: list[Any] = field(default_factory=list)
    terminations: list[Any] = field(default_factory=list)
    truncations: list[Any] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the environment ended the episode."""
        return bool(self.terminations and (self.terminations[-1] or self.truncations[-1]))


def play(
    env: gym.Env[Any, Any], lengths: Iterable[int], *, seed: int = 0, actions: Iterable[Any] | None = None
) -> list[Played]:
    """Play one episode for each length, and keep everything that passed.

    Args:
        env: The environment, recorded or not.
        lengths: The most steps of each episode; an episode that the environment has not ended by then is incomplete.
        seed: Seeds every other reset and, without ``actions``, the actions.
        actions: The actions; samples of the action space if None.
    """
    chosen = iter(actions) if actions is not None else _actions(env.action_space, seed)
    episodes = []
    for number, length in enumerate(lengths):
        played = Played(seed=None if number % 2 else seed + number, options={"episode": (number,)} if number else None)
        observation, info = env.reset(seed=played.seed, options=copy.deepcopy(played.options))
        played.observations.append(copy.deepcopy(observation))
        played.infos.append(copy.deepcopy(info))
        for _ in range(length):
            action = next(chosen)
            played.actions.append(copy.deepcopy(action))
            observation, reward, terminated, truncated, info = env.step(action)
            played.observations.append(copy.deepcopy(observation))
            played.rewards.append(reward)
            played.terminations.append(terminated)
            played.truncations.append(truncated)
            played.infos.append(copy.deepcopy(info))
            if terminated or truncated:
                break
        episodes.append(played)
    return episodes


def _actions(space: gym.Space[Any], seed: int) -> Iterator[Any]:
    own = copy.deepcopy(space)
    own.seed(seed)
    while True:
        yield own.sample()


def check_identical(found: Any, expected: Any, where: str) -> None:
    """Fail unless two values are the same in type, structure and every bit."""
    assert identical(found, expected), f"{where}: expected {expected!r}, found {found!r}"


def check_recorded(recording: Recording, episodes: Sequence[Played]) -> None:
    """Fail unless a recording has exactly the played episodes."""
    assert recording.num_episodes == len(recording.episodes) == len(episodes)
    assert recording.num_steps == sum(len(played.actions) for played in episodes)
    for number, played in enumerate(episodes):
        episode = recording.episodes[number]
        assert episode.length == len(played.actions)
        assert episode.complete == played.complete
        assert episode.seed == played.seed
        check_identical(episode.options, played.options, f"options of episode {number}")
        for name in ("observations", "infos", "actions", "rewards", "terminations", "truncations"):
            found, expected = getattr(episode, name), getattr(played, name)
            assert len(found) == len(expected), f"{name} of episode {number}"
            for at, value in enumerate(expected):
                check_identical(found[at], value, f"{name}[{at}] of episode {number}")
