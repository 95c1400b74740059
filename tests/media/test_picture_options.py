"""The options of videos and contact sheets are those of the methods of an episode."""

from __future__ import annotations

import inspect
from dataclasses import asdict

import pytest

import gym_h5record as h5r
from gym_h5record.media.picture_options import PictureOptions


@pytest.mark.parametrize("method", [h5r.Episode.video, h5r.Episode.sheet, h5r.to_video], ids=lambda each: each.__name__)
def test_the_defaults_are_those_of_the_methods(method: object) -> None:
    parameters = inspect.signature(method).parameters  # type: ignore[arg-type]
    for name, default in asdict(PictureOptions()).items():
        assert parameters[name].default == default
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
