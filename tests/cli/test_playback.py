"""An episode is played step by step."""

from __future__ import annotations

from pathlib import Path

import gym_h5record as h5r
from gym_h5record.cli.playback import play
from gym_h5record.media.summaries import summary


def test_an_episode_is_played_with_its_actions_up_to_the_limit(paintings: Path) -> None:
    with h5r.Recording(paintings) as recording:
        (observation, info), steps = play(paintings, recording.episodes[0], 3)
    assert (summary(observation), info) == ("[0 0.5]", {"brush": "new"})
    assert [(step.number, step.action, step.reward, step.total) for step in steps] == [
        (0, 0, 0.5, 0.5),
        (1, 1, 1.0, 1.5),
        (2, 2, 1.5, 3.0),
    ]
    assert steps[0].as_json() == {
        "step": 0,
        "action": 0,
        "reward": 0.5,
        "return": 0.5,
        "terminated": False,
        "truncated": False,
        "observation": "[1 0.5]",
        "info": {"paint": 1.0},
    }
