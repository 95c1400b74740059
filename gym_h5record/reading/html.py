"""What a notebook shows of a recording, a selection and an episode: facts, a few pictures, and a line of returns.

Text of the file is shortened and escaped. A part that cannot be read is no error: the table says so.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np

from gym_h5record.display import counted, printable, reward_text, short_repr
from gym_h5record.errors import RecordingError
from gym_h5record.format import nodes
from gym_h5record.format.schema import Schema
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.recorded_file import RecordedFile
from gym_h5record.reading.sparklines import sparkline_svg
from gym_h5record.reading.step_spans import StepSpans
from gym_h5record.reading.thumbnails import picture_in, picture_node, png_thumbnail
from gym_h5record.values.exact import reward_number

__all__ = ["MAX_DRAWN_STEPS", "ShownEpisode", "episode_html", "episodes_html"]

MAX_PICTURES = 4
MAX_DRAWN_STEPS = 1 << 16
"""Steps of an episode whose rewards are drawn: up to eight chunks of them are read."""

_MAX_CHARACTERS = 200
_LEFT = 'style="text-align: left"'

_Fact: TypeAlias = "tuple[str, Callable[[], Any]]"
"""The name of a fact, and what gives it. A fact that is None is not shown."""


class ShownEpisode(Protocol):
    """What of an ``Episode`` is shown."""

    number: int
    env: int
    address: int
    length: int

    @property
    def total_reward(self) -> Any:
        """Sum of the rewards."""

    @property
    def seed(self) -> int | None:
        """The seed of its reset."""

    @property
    def options(self) -> dict[str, Any] | None:
        """The options of its reset."""

    @property
    def terminated(self) -> bool:
        """Whether the last step ended it."""

    @property
    def truncated(self) -> bool:
        """Whether the last step cut it off."""

    @property
    def complete(self) -> bool:
        """Whether the environment ended it."""

    @property
    def rewards(self) -> Any:
        """The rewards of its steps."""

    @property
    def times(self) -> np.ndarray | None:
        """When each row came."""


# Recordings, selections, episodes -----------------------------------------------------------------


def episodes_html(title: Callable[[], str], file: RecordedFile, index: EpisodeIndex, numbers: np.ndarray) -> str:
    """What a notebook shows of some or all episodes of a recording, in less than 300 kB.

    The columns of ``/episodes`` are read, the description of the file, and at most four pictures.

    Args:
        title: Gives the first line.
        file: The file.
        index: All episodes of the recording.
        numbers: Which of them are shown, ``(n,)`` int64.
    """
    facts: list[_Fact] = [
        ("environment", lambda: file.metadata.get("env_name")),
        ("created", lambda: file.metadata.get("created_at")),
        ("agent", lambda: file.metadata.get("agent_id") or None),
        ("observations", lambda: str(file.observation_space)),
        ("actions", lambda: str(file.action_space)),
        ("lanes", lambda: file.num_envs),
        *_schema_facts(lambda: file.schema),
        ("incomplete", lambda: _incomplete_text(_column(index, "complete", numbers))),
        ("returns", lambda: _spread_text(_complete(index, "returns", numbers))),
        ("lengths", lambda: _spread_text(_complete(index, "lengths", numbers))),
    ]
    page = _Page(title)
    page.table(facts)
    page.pictures(lambda: file.decoder, lambda: _rows_of_steps(index, numbers))
    page.line("returns", lambda: _complete(index, "returns", numbers))
    return page.html


def episode_html(episode: ShownEpisode, decoder: Decoder) -> str:
    """What a notebook shows of an episode, in less than 300 kB.

    Its rewards and times are read if it has at most 65,536 steps, and at most four pictures.

    Args:
        episode: The episode.
        decoder: Reads values.
    """
    is_short = episode.length <= MAX_DRAWN_STEPS
    schema = decoder.schema
    facts: list[_Fact] = [
        ("total reward", lambda: reward_text(episode.total_reward)),
        ("end", lambda: _end_text(episode)),
        ("seed", lambda: episode.seed),
        ("options", lambda: episode.options),
        ("duration", lambda: _duration_text(episode.times) if is_short else None),
        ("observations", lambda: _node_text(schema.observation)),
        ("actions", lambda: _node_text(schema.action)),
        *_schema_facts(lambda: schema),
        ("returns", lambda: None if is_short else f"not drawn: more than {counted(MAX_DRAWN_STEPS, 'step')}"),
    ]
    lane = "" if schema.num_envs is None else f" of lane {episode.env}"
    page = _Page(lambda: f"Episode {episode.number}{lane}: {counted(episode.length, 'step')}")
    page.table(facts)
    rows = [(f"step {step}", episode.address + step) for step in _evenly_spaced(episode.length + 1)]
    page.pictures(lambda: decoder, lambda: rows)
    if is_short:
        page.line("return after each step", lambda: _running_returns(episode.rewards[:]))
    return page.html


class _Page:
    """HTML that is put together part by part. A part that cannot be read becomes a row of the table."""

    def __init__(self, title: Callable[[], str]) -> None:
        self._rows: list[str] = []
        self._images: list[str] = []
        self._lines: list[str] = []
        self._title = self._read("", title) or ""

    @property
    def html(self) -> str:
        """All parts."""
        head = f'<tr><th colspan="2" {_LEFT}>{_text(self._title)}</th></tr>' if self._title else ""
        table = f"<table>{head}{''.join(self._rows)}</table>"
        return f"<div>{table}<div>{''.join(self._images)}</div>{''.join(self._lines)}</div>"

    def table(self, facts: Iterable[_Fact]) -> None:
        """Add rows of facts."""
        for name, give in facts:
            fact = self._read(name, give)
            if fact is not None:
                self._row(name, fact)

    def pictures(self, decoder: Callable[[], Decoder], rows: Callable[[], list[tuple[str, int]]]) -> None:
        """Add the pictures of rows, each with its label, if the recording has pictures."""
        node = self._read("pictures", lambda: picture_node(decoder().schema))
        if node is None:
            return
        for label, row in self._read("pictures", rows) or ():
            picture = self._read(f"picture of {label}", partial(_picture_of_row, decoder(), node, row))
            if picture is not None:
                self._images.append(_figure(label, png_thumbnail(picture)))

    def line(self, label: str, give: Callable[[], np.ndarray]) -> None:
        """Add a sparkline."""
        svg = self._read(label, lambda: sparkline_svg(give()))
        if svg:
            self._lines.append(f'<figure style="margin: 4px">{svg}<figcaption>{_text(label)}</figcaption></figure>')

    def _read(self, name: str, give: Callable[[], Any]) -> Any:
        """What ``give`` gives; None if it cannot be read, with a row that says so."""
        try:
            return give()
        except RecordingError as error:
            self._row(name, f"cannot be read: {error}")
            return None

    def _row(self, name: str, value: Any) -> None:
        self._rows.append(f"<tr><th {_LEFT}>{_text(name)}</th><td {_LEFT}>{_text(value)}</td></tr>")


def _text(value: Any) -> str:
    """A value as text that is safe in HTML, within elements and quoted attributes."""
    text = value if isinstance(value, str) else short_repr(value)
    shown = printable(" ".join(text[: _MAX_CHARACTERS + 1].split()))
    return html.escape(shown if len(shown) <= _MAX_CHARACTERS else f"{shown[:_MAX_CHARACTERS]} ...")


def _figure(label: str, png: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    image = f'<img src="{source}" alt="{_text(label)}" />'
    return f'<figure style="display: inline-block; margin: 4px">{image}<figcaption>{_text(label)}</figcaption></figure>'


# Facts --------------------------------------------------------------------------------------------


def _schema_facts(schema: Callable[[], Schema]) -> list[_Fact]:
    return [
        ("frames", lambda: _frames_text(schema())),
        ("infos", lambda: _keys_text([each.key for each in schema().infos or ()])),
        ("extras", lambda: _keys_text([each.key for each in schema().extras or ()])),
    ]


def _frames_text(schema: Schema) -> str | None:
    if schema.linked_frames:
        return "the observations"
    return None if schema.frame is None else _node_text(schema.frame)


def _keys_text(keys: list[str]) -> str | None:
    """The keys that have columns."""
    return ", ".join(keys) or None


def _node_text(node: nodes.Node) -> str:
    """What a value is, in a few words."""
    if isinstance(node, (nodes.Array, nodes.Stack)):
        return f"{node.dtype} {node.shape}"
    if isinstance(node, nodes.Scalar):
        return str(node.dtype)
    if isinstance(node, nodes.DictOf):
        return f"a dict of {', '.join(str(key)[:_MAX_CHARACTERS] for key, _ in node.items[:_MAX_CHARACTERS])}"
    if isinstance(node, nodes.TupleOf):
        return f"a tuple of {len(node.items)}"
    return f"values that vary in size ({type(node).__name__})"


def _end_text(episode: ShownEpisode) -> str:
    ends = [name for name in ("terminated", "truncated") if getattr(episode, name)]
    return " and ".join(ends if episode.complete else [*ends, "incomplete"])


def _duration_text(times: np.ndarray | None) -> str | None:
    return None if times is None or not len(times) else f"{times[-1] - times[0]:.3f} s"


def _incomplete_text(complete: np.ndarray) -> str | None:
    count = int((~complete).sum())
    return f"{counted(count, 'episode')}, left out of returns and lengths" if count else None


def _spread_text(values: np.ndarray) -> str | None:
    """The least, mean and largest value; of arrays, those of each element."""
    if not len(values):
        return None
    with np.errstate(all="ignore"):  # returns may be infinite or NaN
        spread = {"min": values.min(axis=0), "mean": values.mean(axis=0, dtype=np.float64), "max": values.max(axis=0)}
    return ", ".join(f"{name} {reward_text(value)}" for name, value in spread.items())


# What is read -------------------------------------------------------------------------------------


def _column(index: EpisodeIndex, name: str, numbers: np.ndarray) -> np.ndarray:
    column: np.ndarray = index.column(name)[numbers]
    return column


def _complete(index: EpisodeIndex, name: str, numbers: np.ndarray) -> np.ndarray:
    """The values of those episodes that the environment ended."""
    return _column(index, name, numbers[_column(index, "complete", numbers)])


def _running_returns(rewards: Any) -> np.ndarray:
    """The return after each step, ``(steps, *shape)``; a reward that is no number makes it NaN from there on."""
    if not isinstance(rewards, np.ndarray):  # some of them do not fit the column
        rewards = np.array([reward_number(each) for each in rewards], np.float64)
    with np.errstate(all="ignore"):
        returns: np.ndarray = np.cumsum(rewards, axis=0, dtype=np.float64)
    return returns


def _rows_of_steps(index: EpisodeIndex, numbers: np.ndarray) -> list[tuple[str, int]]:
    """Rows from all over some episodes, each with a label."""
    starts, lengths = index.spans
    spans = StepSpans(numbers, starts[numbers], lengths[numbers])
    count = spans.num_steps
    steps = {(2 * k + 1) * count // (2 * MAX_PICTURES) for k in range(MAX_PICTURES)} if count else set()
    chosen = np.array(sorted(steps), np.int64)
    found = zip(spans.episodes(chosen), spans.steps_in_episode(chosen), spans.rows(chosen), strict=True)
    return [(f"episode {episode}, step {step}", int(row)) for episode, step, row in found]


def _picture_of_row(decoder: Decoder, node: nodes.Node, row: int) -> np.ndarray | None:
    return picture_in(decoder.value(node, row))


def _evenly_spaced(length: int) -> list[int]:
    """Up to four of the numbers below ``length``, the first and the last included."""
    count = min(length, MAX_PICTURES)
    return [round(k * (length - 1) / max(1, count - 1)) for k in range(count)]
