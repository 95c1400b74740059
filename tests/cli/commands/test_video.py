"""``gym-h5record video``: episodes as MP4 and GIF."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

import gym_h5record as h5r
from gym_h5record.cli.output import size_text
from tests.paintings import FRAMES, record_paintings


def test_a_gif_holds_every_frame_exactly(cli: Any, paintings: Path, tmp_path: Path) -> None:
    result = cli("video", paintings, "-o", "run.gif", "--scale", 1, "--overlay", "none", "--episode", 1)
    size = size_text((tmp_path / "run.gif").stat().st_size)
    assert result.stdout == f"wrote run.gif: episode 1, 4 frames, 25 per second, 16x12, {size}\n"
    with Image.open(tmp_path / "run.gif") as gif, h5r.Recording(paintings) as recording:
        frames = [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(gif)]
        assert np.array_equal(frames, recording[1].frames[:])


def test_an_mp4_beside_the_recording_is_the_default(cli: Any, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    (tmp_path / "runs").mkdir()
    record_paintings(tmp_path / "runs" / "run.h5", (7,))
    content = json.loads(cli("video", "runs/run.h5", "--json", "--limit", 3).stdout)
    assert (content["video"], content["frames"], content["cameras"]) == ("runs/run.mp4", 4, ["frames"])
    with av.open(str(tmp_path / "runs" / "run.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.width) == (4, content["width"])


def test_cameras_are_named_and_chosen(cli: Any, tmp_path: Path) -> None:
    record_paintings(tmp_path / "run.h5", (2,), **FRAMES["cameras"])
    stdout = cli("video", "run.h5", "-o", "run.gif", "--camera", "wrist/rgb", "--camera", "depth").stdout
    assert "(wrist/rgb, depth)" in stdout
    result = cli("video", "run.h5", "-o", "b.gif", "--camera", "nose")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cameras: the recording shows map/text, depth, front, wrist/rgb")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-o", "x.avi"), 1, "expected a name that ends with .mp4 or .gif, got .avi"),
        (("-o", "x"), 1, "expected a name that ends with .mp4 or .gif, got no ending"),
        (("-o", "nowhere/x.gif"), 1, "the directory nowhere does not exist"),
        (("-o", "x.gif", "--episode", "9"), 1, "has episodes 0 to 1, there is no episode 9"),
        (("-o", "x.gif", "--overlay", "steps"), 2, "expected none or some of step,action,reward,return, got 'steps'"),
        (("-o", "x.gif", "--fps", "0"), 2, "0.0 is not in the range"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    cli: Any, paintings: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = cli("video", paintings, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert re.search(re.escape(message), " ".join(result.stderr.split()))
    assert list(tmp_path.iterdir()) == []


def test_a_video_is_replaced_only_if_asked_for(cli: Any, paintings: Path, tmp_path: Path) -> None:
    (tmp_path / "run.gif").write_text("mine")
    result = cli("video", paintings, "-o", "run.gif")
    assert result.stderr == "error: run.gif exists: choose another name, or replace it with --overwrite.\n"
    assert cli("video", paintings, "-o", "run.gif", "--overwrite").exit_code == 0
    Image.open(tmp_path / "run.gif").verify()
