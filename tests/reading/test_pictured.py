"""The pictures that an episode makes of itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import gym_h5record as h5r


def test_an_episode_makes_a_video_and_a_contact_sheet(paintings: Path, tmp_path: Path) -> None:
    with h5r.Recording(paintings) as recording:
        episode = recording[1]
        video = episode.video(tmp_path / "run.gif", overlay=())
        sheet = episode.sheet(str(tmp_path / "run.png"))
    assert (video.episode, video.num_frames, sheet.num_frames) == (1, 4, 4)
    with Image.open(tmp_path / "run.gif") as gif:
        assert np.asarray(gif.convert("RGB"))[100, 160].tolist() == [0, 100, 200]
        assert gif.n_frames == 4


def test_reading_loads_no_pictures(paintings: Path) -> None:
    code = f"""
import sys, gym_h5record as h5r
with h5r.Recording({str(paintings)!r}) as recording:
    recording[0].frames[0]
print([name for name in sys.modules if name.startswith(("gym_h5record.media", "PIL", "av"))])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
