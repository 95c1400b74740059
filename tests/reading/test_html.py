"""What a notebook shows: facts, pictures and a line; text of a hostile file is escaped, a damaged part is named."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

import gym_h5record as h5r
from gym_h5record.reading import html
from tests.paintings import record_paintings
from tests.reading import NESTED, Reads, damage_chunk, record
from tests.writing import Pen, make_schema, pair
from tests.zoo import ZooEnv

MAX_BYTES = 300_000
NOISE = spaces.Box(0, 255, (200, 180, 3), np.uint8)
ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;"


class Page(HTMLParser):
    """A page, taken apart; tags must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []
        self.size = len(page.encode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag != "img":
            self._open.append(tag)
        if tag in ("th", "td", "figcaption"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.cells[-1] += data

    @property
    def facts(self) -> dict[str, str]:
        """The rows of the table below its title."""
        cells = self.cells[1 : 1 + 2 * (self.tags.count("tr") - 1)]
        return dict(zip(cells[::2], cells[1::2], strict=True))

    @property
    def pictures(self) -> list[np.ndarray]:
        """The pictures."""
        sources = [value for name, value in self.attributes if name == "src" and value is not None]
        found = []
        for source in sources:
            kind, _, text = source.partition(",")
            assert kind == "data:image/png;base64"
            found.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")))
        return found


def page_of(shown: Any) -> Page:
    return Page(shown._repr_html_())


# What is shown ------------------------------------------------------------------------------------


def test_a_recording_shows_its_facts_four_pictures_and_a_line(paintings: Path) -> None:
    with h5r.Recording(paintings) as recording:
        page = page_of(recording)
        assert page.cells[0] == repr(recording)
        assert page.facts["environment"] == "Painter-v0"
        assert page.facts["agent"] == "hand"
        assert page.facts["observations"] == str(recording.observation_space)
        labels = [cell for cell in page.cells if re.fullmatch(r"episode \d+, step \d+", cell)]
        assert len(labels) == len(page.pictures) == 4
        for label, picture in zip(labels, page.pictures, strict=True):
            episode, step = map(int, re.findall(r"\d+", label))
            assert np.array_equal(picture, recording[episode].frames[step])  # type: ignore[index]
        assert page.tags.count("polyline") == 1
        assert page.size < MAX_BYTES


def test_an_episode_shows_its_first_and_last_picture_and_the_way_of_its_return(paintings: Path) -> None:
    with h5r.Recording(paintings) as recording:
        episode = recording[1]
        page = page_of(episode)
        assert page.cells[0] == f"Episode 1: {episode.length} steps"
        assert page.facts["total reward"] == f"{episode.total_reward:g}"
        assert page.facts["seed"] == str(episode.seed)
        assert len(page.pictures) == 4
        assert np.array_equal(page.pictures[0], episode.frames[0])  # type: ignore[index]
        assert np.array_equal(page.pictures[-1], episode.frames[-1])  # type: ignore[index]
        assert page.tags.count("polyline") == 1


def test_a_selection_shows_its_own_episodes_only(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, rewards=(1.0,), length=20), (20, 3, 20, 20))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert page_of(recording).facts["returns"] == "min 20, mean 20, max 20"
        assert page_of(recording).facts["incomplete"] == "1 episode, left out of returns and lengths"
        page = page_of(recording[[2, 3]])
        assert page.cells[0] == repr(recording[[2, 3]])
        assert "incomplete" not in page.facts
        assert {cell.split(",")[0] for cell in page.cells if ", step" in cell} == {"episode 2", "episode 3"}


def test_observations_that_look_like_pictures_are_shown_where_there_are_no_frames(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, length=20), (20,))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        page = page_of(recording[0])
        first = recording[0].observations[0]["picture"]
        assert np.array_equal(page.pictures[0], np.repeat(first[:, :, None], 3, axis=2))


@pytest.mark.parametrize("mode", ["ansi", "depth_array", "rgbd_tuple"])
def test_of_other_frames_only_the_colours_are_shown(mode: str, tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", render_mode=mode)
    with h5r.Recording(path) as recording:
        for shown in (recording, recording[0]):
            assert len(page_of(shown).pictures) == (4 if mode == "rgbd_tuple" else 0)


def test_no_steps_and_no_episodes_are_shown_too(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, length=20), (0, 0))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        for shown in (recording, recording[:0]):
            page = page_of(shown)
            assert page.cells[0] == repr(shown)
            assert page.pictures == []
            assert "svg" not in page.tags
        assert len(page_of(recording[0]).pictures) == 1  # the observation of the reset


def test_rewards_of_several_components_have_a_line_each(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(reward=np.zeros(3))) as pen:
        pen.begin(pair(0))
        for number in range(5):
            pen.step(pair(0), reward=np.array([0.5, 1.0, -number]), terminated=number == 4)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert page_of(recording).facts["returns"] == "min [2.5, 5, -10], mean [2.5, 5, -10], max [2.5, 5, -10]"
        assert page_of(recording[0]).facts["total reward"] == "[2.5, 5, -10]"
        assert page_of(recording[0]).tags.count("polyline") == 3


def test_rewards_that_do_not_fit_and_returns_that_are_no_number_are_shown(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, length=9), (9, 9))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert "nan" in page_of(recording).facts["returns"]
        assert page_of(recording[0]).facts["total reward"] == "nan"


# Hostile files ------------------------------------------------------------------------------------


def test_text_of_a_hostile_file_is_escaped(tmp_path: Path) -> None:
    space = spaces.Dict({ATTACK: spaces.Discrete(2)})
    env = ZooEnv(space, infos=lambda step: {ATTACK: step})
    path = tmp_path / f"{ATTACK.replace('/', '')}.h5"
    record(path, env, (9, 9), metadata={"agent_id": ATTACK}, checksum=False)
    with h5py.File(path, "r+") as file:
        for name in ("env_name", "created_at"):
            file["metadata"].attrs[name] = ATTACK
    with h5r.Recording(path) as recording:
        pages = [page_of(recording), page_of(recording[:1]), page_of(recording[0])]
    for page in pages:
        assert not {"script", "img"} & {*page.tags}
        assert {name for name, _ in page.attributes} <= {
            *("style", "colspan", "xmlns", "width", "height", "viewbox", "fill", "stroke", "points")
        }
        assert "script" in page.facts["infos"]
    assert pages[0].facts["environment"] == pages[0].facts["agent"] == ATTACK


def test_options_of_a_hostile_file_are_escaped(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0), options={"x": "<script>"})
        pen.step(pair(1))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        page = page_of(recording[0])
    assert page.facts["options"] == "{'x': '<script>'}"
    assert "script" not in page.tags


@pytest.mark.parametrize("text", ["\x1b[31m", "\u202ereversed", "\ud800"], ids=["escape", "bidi", "surrogate"])
def test_unprintable_text_is_shown_as_its_code(text: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0), options={"x": text})
        pen.step(pair(1))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        shown = recording[0]._repr_html_()
    assert shown.isprintable()
    shown.encode()


def test_long_text_and_noise_stay_below_the_limit(tmp_path: Path) -> None:
    space = spaces.Dict({f"{'&' * 500}{number}": spaces.Discrete(2) for number in range(300)}, picture=NOISE)
    infos = {f"{'<' * 100}{number}": number for number in range(300)}
    metadata = {"agent_id": '"' * 100_000}
    record(
        tmp_path / "run.h5", ZooEnv(space, spaces.Discrete(2), infos=lambda _: infos), [9] + [1] * 9, metadata=metadata
    )
    with h5r.Recording(tmp_path / "run.h5") as recording:
        for shown in (recording, recording[0]):
            page = page_of(shown)
            assert len(page.pictures) == 4
            assert max(max(each.shape) for each in page.pictures) <= 160
            assert page.size < MAX_BYTES
            assert page.facts["infos"].endswith(" ...")


# Damaged files ------------------------------------------------------------------------------------


def test_damaged_pictures_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, rewards=(1.0,), length=20), (20, 20))
    damage_chunk(tmp_path / "run.h5", "observations/picture", lambda data: data[: len(data) // 2], chunk=0)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        page, first = page_of(recording), page_of(recording[0])
    assert page.facts["picture of episode 0, step 5"].startswith("cannot be read: ")
    assert page.facts["returns"] == "min 20, mean 20, max 20"
    assert 0 < len(page.pictures) < 4
    assert first.facts["picture of step 0"].startswith("cannot be read: ")
    assert first.facts["total reward"] == "20"


@pytest.mark.parametrize("name", ["observation_space", "schema", "env_name", "user"])
def test_a_damaged_description_is_named(name: str, tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, rewards=(1.0,), length=20), (20, 20))
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["metadata"].attrs[name] = '{"no'
    with h5r.Recording(tmp_path / "run.h5") as recording:
        page = page_of(recording)
    assert page.facts["lengths"] == "min 20, mean 20, max 20"
    if name == "observation_space":
        assert page.facts["observations"].startswith("cannot be read: ")
    if name == "schema":
        assert page.facts["frames"].startswith("cannot be read: ")
        assert page.facts["pictures"].startswith("cannot be read: ")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["starts", "lengths", "returns", "complete", "seeds"])
def test_a_damaged_index_of_episodes_is_named(name: str, tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, rewards=(1.0,), length=20), (20, 20))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        episode = recording[0]
        shown = [recording, recording[:1], episode]
        original = recording._index.storage.items

        def items(field: str, start: int, stop: int) -> np.ndarray:
            if field == f"episodes/{name}":
                raise h5r.errors.CorruptRecordingError(f"/{field} is damaged")
            return original(field, start, stop)

        recording._index._columns.clear()
        recording._index.__dict__.pop("spans", None)
        recording._index.storage.items = items  # type: ignore[method-assign]
        pages = [page_of(each) for each in shown]
    assert any("is damaged" in fact for page in pages for fact in page.facts.values())


def test_a_closed_recording_says_so(paintings: Path) -> None:
    with h5r.Recording(paintings) as recording:
        episode = recording[0]
    for shown in (recording, recording[:1], episode):
        page = page_of(shown)
        assert any("closed" in fact for fact in page.facts.values())
        assert page.pictures == []


# What it costs ------------------------------------------------------------------------------------


def test_no_more_than_a_handful_of_rows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, rewards=(1.0,), length=20), [20] * 8)
    reads = Reads(monkeypatch)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        reads.take()
        recording._repr_html_()
        assert reads.fields.count("observations/picture") == 4
        fields = {field for field in reads.take() if not field.startswith("episodes/")}
        assert fields == {"observations/picture", "types"}


def test_rewards_of_very_long_episodes_are_not_drawn_and_the_table_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "run.h5", ZooEnv(NESTED, rewards=(1.0,), length=20), (20,))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        monkeypatch.setattr(html, "MAX_DRAWN_STEPS", 19)
        reads = Reads(monkeypatch)
        page = page_of(recording[0])
        assert page.facts["returns"] == "not drawn: more than 19 steps"
        assert not {"rewards", "times"} & reads.take()
    assert "svg" not in page.tags
