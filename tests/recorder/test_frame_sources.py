"""Frame sources: which one is chosen, that its pictures are recorded, and that the user renders as without it."""

import sys
from types import ModuleType

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.spaces import Box, Discrete

import gym_h5record as h5r
from gym_h5record.errors import OptionError, RecordingWarning, RenderModeError
from gym_h5record.recorder.frame_sources import (
    FRAMES_OPTIONS,
    RENDER_MODES,
    choose_frame_source,
    observation_is_picture,
)
from gym_h5record.values.exact import identical
from tests.paintings import FRAMES, every_kind_of_frames, expected_frame, record_paintings
from tests.zoo import SPACES_BY_ID, ZooEnv


class PictureEnv(ZooEnv):
    """Renders pictures whose pixels are the number of the call."""

    metadata = {"render_modes": ["rgb_array", "rgb_array_list", "human", "ansi", "svg"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode="rgb_array", space=None, length=9):
        super().__init__(space or Box(0, 1, (2,), np.float32), Discrete(2), length=length)
        self.render_mode = render_mode
        self.num_renders = 0

    def render(self):
        self.num_renders += 1
        return np.full((4, 5, 3), self.num_renders, np.uint8)


class ListEnv(PictureEnv):
    """Collects a picture per reset and step itself; ``render`` returns each once."""

    def __init__(self):
        super().__init__("rgb_array_list")
        self.collected = []
        self.num_pictures = 0

    def _collect(self):
        self.num_pictures += 1
        self.collected.append(np.full((4, 5, 3), self.num_pictures, np.uint8))

    def reset(self, **arguments):
        self._collect()
        return super().reset(**arguments)

    def step(self, action):
        self._collect()
        return super().step(action)

    def render(self):
        collected, self.collected = self.collected, []
        return collected


def numbers(pictures):
    """The numbers of pictures of these environments."""
    return [int(picture[0, 0, 0]) for picture in pictures]


def make_atari(**arguments):
    ale_py = pytest.importorskip("ale_py")
    gym.register_envs(ale_py)
    return gym.make("ALE/Breakout-v5", **arguments)


# Choosing -----------------------------------------------------------------------------------------


def test_options_are_these():
    assert FRAMES_OPTIONS == ("auto", "render", "observation", False)


@pytest.mark.parametrize("mode", [None, "rgb_array", "human", "ansi"])
def test_false_stores_nothing_and_renders_nothing(mode):
    env = PictureEnv(mode)
    source = choose_frame_source(env, frames=False)
    assert source.kind == "none"
    assert source.capture() is None
    assert env.num_renders == 0


@pytest.mark.parametrize("frames", ["auto", "render"])
def test_rgb_array_is_rendered_once_per_capture(frames):
    env = PictureEnv()
    source = choose_frame_source(env, frames)
    assert source.kind == "render"
    assert env.num_renders == 0
    assert numbers([source.capture(), source.capture()]) == [1, 1]
    source.forget()
    assert numbers([source.capture()]) == [2]


@pytest.mark.parametrize("mode", RENDER_MODES)
@pytest.mark.parametrize("frames", ["auto", "render"])
def test_every_mode_that_gives_pictures_is_rendered(mode, frames):
    assert RENDER_MODES == ("rgb_array", "ansi", "depth_array", "rgbd_tuple", "cameras")
    source = choose_frame_source(PictureEnv(mode), frames)
    assert (source.kind, source.captures, source.camera_names) == ("render", True, ())
    assert numbers([source.capture()]) == [1]


@pytest.mark.parametrize("mode", ["svg", "rgb_array_hd", "svg_list"])
def test_auto_warns_of_a_mode_whose_pictures_cannot_be_recorded(mode):
    with pytest.warns(
        RecordingWarning, match=rf"render_mode '{mode}' .* no frames are recorded. Pass frames={{\"name\""
    ):
        source = choose_frame_source(PictureEnv(mode), "auto")
    assert (source.kind, source.captures) == ("none", False)
    assert choose_frame_source(PictureEnv(mode), frames=False).kind == "none"  # says no more


@pytest.mark.parametrize("mode", [None, "human"])
def test_auto_stores_nothing_where_no_picture_is_rendered(mode):
    env = PictureEnv(mode)
    source = choose_frame_source(env, "auto")
    assert source.kind == "none"
    assert source.capture() is None
    assert env.num_renders == 0


@pytest.mark.parametrize("mode", [None, "human", "svg"])
def test_render_demands_an_environment_that_renders_pictures(mode):
    with pytest.raises(RenderModeError, match=rf"its render_mode is {mode!r}.*render_mode=\"rgb_array\""):
        choose_frame_source(PictureEnv(mode), "render")


def test_observation_takes_observations_that_are_pictures():
    env = PictureEnv(space=SPACES_BY_ID["Box-picture"])
    source = choose_frame_source(env, "observation")
    assert source.kind == "observation"
    assert source.capture() is None
    assert env.num_renders == 0


@pytest.mark.parametrize(
    "space",
    [
        Box(0, 1, (4, 5, 3), np.float32),
        Box(0, 255, (4, 5), np.uint8),
        Box(0, 255, (4, 5, 4), np.uint8),
        Box(0, 255, (2, 4, 5, 3), np.uint8),
        SPACES_BY_ID["Dict"],
    ],
    ids=["float", "grey", "alpha", "stack", "Dict"],
)
def test_observation_demands_observations_that_are_pictures(space):
    with pytest.raises(OptionError, match='frames="observation" needs observations that are pictures'):
        choose_frame_source(PictureEnv(space=space), "observation")


@pytest.mark.parametrize("frames", [True, 1, 0, None, "Auto", "rgb_array", 0.0], ids=repr)
def test_unknown_option_is_an_error_that_lists_the_known_ones(frames):
    with pytest.raises(OptionError, match="frames: expected one of 'auto', 'render', 'observation', False, got"):
        choose_frame_source(PictureEnv(), frames)


def test_picture_space_alone_proves_nothing():
    env = PictureEnv(space=SPACES_BY_ID["Box-picture"])
    assert not observation_is_picture(env)
    assert choose_frame_source(env, "auto").kind == "render"


# The user's own rendering -------------------------------------------------------------------------


@pytest.mark.parametrize("frames", ["auto", "render", False])
def test_user_gets_the_pictures_that_the_environment_alone_would_give(frames):
    source = choose_frame_source(PictureEnv(), frames)
    assert numbers([source.render()]) == [1]  # of a state that is not recorded
    source.capture()
    assert numbers([source.render(), source.render()]) == [2, 3]
    source.forget()
    assert numbers([source.render()]) == [4]


def test_a_picture_of_a_state_that_has_gone_is_not_shown():
    source = choose_frame_source(PictureEnv(), "auto")
    source.capture()
    source.forget()
    assert numbers([source.render()]) == [2]


@pytest.mark.parametrize("mode", [None, "rgb_array", "svg"])
def test_cameras_look_once_per_state_and_leave_rendering_alone(mode):
    env, calls = PictureEnv(mode), []
    source = choose_frame_source(env, {"front": calls.append, "wrist": lambda env: len(calls)})
    assert (source.kind, source.captures, source.camera_names) == ("cameras", True, ("front", "wrist"))
    assert source.capture() is source.capture()
    assert source.capture() == {"front": None, "wrist": 1}
    source.forget()
    assert source.capture() == {"front": None, "wrist": 2}
    assert calls == [env, env]
    assert numbers([source.render()]) == [1]


def test_frames_of_a_render_collection_are_looked_at_not_taken():
    env = wrappers.RenderCollection(PictureEnv())
    source = choose_frame_source(env, "auto")
    assert source.kind == "render"
    env.reset(seed=0)
    captured = [source.capture()]
    for _ in range(3):
        env.step(0)
        captured.append(source.capture())
    assert numbers(captured) == [1, 2, 3, 4]
    assert numbers(source.render()) == [1, 2, 3, 4]
    assert source.render() == []
    env.step(0)
    assert numbers([source.capture()]) == [5]
    assert numbers(source.render()) == [5]


def test_render_collection_is_found_under_other_wrappers():
    env = wrappers.TimeLimit(wrappers.OrderEnforcing(wrappers.RenderCollection(PictureEnv())), 10)
    source = choose_frame_source(env, "auto")
    env.reset(seed=0)
    assert numbers([source.capture()]) == [1]
    assert numbers(source.render()) == [1]


def test_list_mode_of_the_environment_is_shared_with_the_user():
    env = ListEnv()
    source = choose_frame_source(env, "auto")
    assert source.kind == "render"
    env.reset(seed=0)
    captured = [source.capture()]
    for _ in range(2):
        env.step(0)
        captured.append(source.capture())
    assert numbers(captured) == [1, 2, 3]
    assert numbers(source.render()) == [1, 2, 3]
    assert source.render() == []
    env.step(0)
    assert numbers(source.render()) == [4]


# RecordVideo below the recorder ---------------------------------------------------------------------


@pytest.fixture
def videos(monkeypatch):
    """The frames of the videos that ``RecordVideo`` writes, by file name: a stand-in for moviepy, which it needs."""
    written = {}

    class ImageSequenceClip:
        def __init__(self, frames, fps):
            self.frames = list(frames)

        def write_videofile(self, path, logger):
            written[path.rpartition("/")[2]] = numbers(self.frames)

    for name in ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["moviepy.video.io.ImageSequenceClip"].ImageSequenceClip = ImageSequenceClip
    return written


def play_with_videos(env, *, renders):
    """Five short episodes; what the user renders is returned, as numbers of pictures."""
    rendered = []
    for number in range(5):
        env.reset(seed=number)
        for _ in range(3):
            env.step(0)
            if renders:
                rendered.append(numbers(env.render()))
    env.close()
    return rendered


@pytest.mark.sampled(7)
@pytest.mark.parametrize("inner", [lambda: wrappers.RenderCollection(PictureEnv(length=3)), ListEnv])
@pytest.mark.parametrize("options", [{}, {"video_length": 2}, {"step_trigger": lambda step: step == 4}])
@pytest.mark.parametrize("num_videos", [1, 2])
@pytest.mark.parametrize("renders", [True, False])
@pytest.mark.filterwarnings("ignore:.*Overwriting existing videos")
def test_videos_of_list_modes_take_no_frame_from_the_recording(inner, options, num_videos, renders, videos, tmp_path):
    def make():
        env = inner()
        for number in range(num_videos):
            options_of_this = {"episode_trigger": lambda episode: episode in (0, 2), **options}
            env = wrappers.RecordVideo(env, str(tmp_path / "videos"), name_prefix=str(number), **options_of_this)
        return env

    alone = play_with_videos(make(), renders=renders), dict(videos)
    videos.clear()
    env = h5r.RecordToHDF5(make(), tmp_path / "run.h5", writer="inline")
    assert (play_with_videos(env, renders=renders), dict(videos)) == alone
    assert len(videos) >= num_videos
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert numbers(recording.rows.frames) == list(range(1, 21))


# What is recorded -----------------------------------------------------------------------------------


@pytest.mark.sampled(5)
@every_kind_of_frames
def test_frames_of_every_kind_come_back_exactly(kind, tmp_path):
    with h5r.Recording(record_paintings(tmp_path / "run.h5", (5, 2), **FRAMES[kind])) as recording:
        assert recording.metadata["frames"] == ("cameras" if kind == "cameras" else "render")
        assert len(recording.rows.frames) == 9
        for episode in recording.episodes:
            for step in range(episode.length + 1):
                assert identical(episode.frames[step], expected_frame(kind, step))
                assert identical(recording.rows.frames[6 * episode.number + step], expected_frame(kind, step))
        assert identical(episode.frames[-1], expected_frame(kind, 2))
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []


def test_slices_of_frames_are_batches_or_lists(tmp_path):
    rgb, depth = [[expected_frame(mode, step) for step in range(3)] for mode in ("rgb_array", "depth_array")]
    text = [expected_frame("ansi", step) for step in range(3)]
    batches = {"rgb_array": np.stack(rgb), "depth_array": np.stack(depth), "ansi": text}
    batches["rgbd_tuple"] = (batches["rgb_array"], batches["depth_array"])
    batches["cameras"] = {
        "map/text": text, "depth": batches["depth_array"], "front": batches["rgb_array"], "wrist": batches["rgbd_tuple"]
    }  # fmt: skip
    for kind, batch in batches.items():
        with h5r.Recording(record_paintings(tmp_path / f"{kind}.h5", (5,), **FRAMES[kind])) as recording:
            assert identical(recording.rows.frames[:3], batch)


def cameras_of(*results):
    """A camera that gives these results one after the other, raising those that are errors."""
    left = list(results)

    def camera(env):
        result = left.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return {"front": camera}


PICTURE = np.full((4, 5, 3), 7, np.uint8)


@pytest.mark.parametrize(("number", "lengths"), [(0, [2, 2]), (1, [0, 2, 2]), (2, [1, 2, 2]), (3, [2, 2])])
def test_an_error_of_a_camera_is_the_users_and_harms_nothing(number, lengths, tmp_path):
    results = [PICTURE] * number + [OSError("the lens cap is on")] + [PICTURE] * 10
    env = h5r.RecordToHDF5(
        PictureEnv(None, length=2), tmp_path / "run.h5", frames=cameras_of(*results), writer="inline"
    )

    def play(seed):
        env.reset(seed=seed)
        for _ in range(2):
            env.step(0)

    for seed in range(3):
        if seed != number // 3:
            play(seed)
            continue
        with pytest.raises(OSError, match="the lens cap is on"):
            play(seed)
        env.step(0)  # belongs to no recorded episode
        env.flush()
        env.step(1)
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [episode.length for episode in recording.episodes] == lengths
        assert [episode.complete for episode in recording.episodes] == [length == 2 for length in lengths]
        for episode in recording.episodes:
            assert all(identical(frame, {"front": PICTURE}) for frame in episode.frames)
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (PICTURE[:3], "/frames/front: got an array of uint8 with shape (3, 5, 3), which its column cannot hold"),
        (PICTURE / 2, "/frames/front: got an array of float64 with shape (4, 5, 3), which its column cannot hold"),
        ("a map", "/frames/front: got 'a map' of type str, which its column cannot hold"),
        ((PICTURE, PICTURE), "which its column cannot hold"),
        (None, "/frames/front: got None of type NoneType, which is no picture. It is kept as text, which is slow"),
        ([PICTURE], "of type list, which is no picture"),
    ],
    ids=["size", "dtype", "text", "tuple", "None", "list"],
)
def test_a_picture_unlike_the_first_is_kept_exactly_with_a_warning(odd, message, tmp_path):
    cameras = cameras_of(PICTURE, PICTURE, odd, PICTURE)
    env = h5r.RecordToHDF5(PictureEnv(None), tmp_path / "run.h5", frames=cameras, writer="inline")
    env.reset(seed=0)
    env.step(0)
    with pytest.warns(RecordingWarning) as caught:
        env.step(0)
    assert [message in str(each.message) for each in caught] == [True]
    env.step(0)
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert identical([*recording.rows.frames], [{"front": each} for each in (PICTURE, PICTURE, odd, PICTURE)])
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []


CAMERA_NAMES = ("a/b", "a%2Fb", ".", "..", "~1", "front", "front~1", "rgb", "values", "ключ 😀", "\ud800")


def test_cameras_may_have_names_that_cannot_stand_in_a_file_as_they_are(tmp_path):
    pictures = {name: np.full((4, 5), number, np.uint8) for number, name in enumerate(CAMERA_NAMES)}
    frames = {name: lambda env, each=each: each for name, each in pictures.items()}
    env = h5r.RecordToHDF5(PictureEnv(None), tmp_path / "run.h5", frames=frames, writer="inline")
    env.reset(seed=0)
    env.step(0)
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert identical([*recording.episodes[0].frames], [pictures, pictures])
        assert list(recording.episodes[0].frames[0]) == list(CAMERA_NAMES)
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []


def test_rendered_pictures_of_changing_size_are_kept_exactly_and_told_once(tmp_path):
    class Zooming(PictureEnv):
        def render(self):
            self.num_renders += 1
            return np.full((self.num_renders % 3 + 2, 5, 3), self.num_renders, np.uint8)

    env = h5r.RecordToHDF5(Zooming(), tmp_path / "run.h5", writer="inline")
    env.reset(seed=0)
    message = (
        r"^/frames: got an array of uint8 with shape \(4, 5, 3\), which its column cannot hold. It is kept as text"
    )
    with pytest.warns(RecordingWarning, match=message) as caught:
        for _ in range(5):
            env.step(0)
    env.close()
    assert len(caught) == 1
    with h5r.Recording(tmp_path / "run.h5") as recording:
        sizes = (3, 4, 2, 3, 4, 2)
        expected = [np.full((size, 5, 3), number, np.uint8) for number, size in enumerate(sizes, start=1)]
        assert identical([*recording.episodes[0].frames], expected)
        assert identical(recording.episodes[0].frames[:], expected)  # a list, as they are no batch
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []


def test_rendering_no_picture_at_all_is_said(tmp_path):
    class Blind(PictureEnv):
        def render(self):
            return None

    env = h5r.RecordToHDF5(Blind(), tmp_path / "run.h5", writer="inline")
    env.reset(seed=0)
    with pytest.warns(RecordingWarning, match="^/frames: got None of type NoneType, which is no picture."):
        env.step(0)
    env.close()
    assert [*h5r.Recording(tmp_path / "run.h5").rows.frames] == [None, None]


def test_the_user_may_change_the_pictures_that_are_returned(tmp_path):
    env = h5r.RecordToHDF5(PictureEnv(), tmp_path / "run.h5", writer="inline")
    env.reset(seed=0)
    shown = []
    for _ in range(4):
        picture = env.render()
        shown.append(int(picture[0, 0, 0]))
        picture[:] = 99
        env.step(0)
    env.close()
    assert shown == [1, 2, 3, 4]
    assert numbers(h5r.Recording(tmp_path / "run.h5").rows.frames) == [1, 2, 3, 4, 5]


def test_rows_that_are_not_recorded_are_rendered_when_the_user_asks(tmp_path):
    inner = PictureEnv(length=2)
    env = h5r.RecordToHDF5(inner, tmp_path / "run.h5", writer="inline", episode_trigger=lambda number: number == 1)
    renders = []
    for seed in range(3):
        env.reset(seed=seed)
        renders.append(inner.num_renders)
        env.step(0)
        renders.append(inner.num_renders)
        assert numbers([env.render()]) == [inner.num_renders]
        env.step(0)
        renders.append(inner.num_renders)
    assert renders == [0, 0, 1, 2, 3, 4, 4, 4, 5]
    env.close()
    assert numbers([env.render()]) == [6]


def test_a_step_that_raises_leaves_no_picture_of_the_state_before(tmp_path):
    class Stumbling(PictureEnv):
        def step(self, action):
            if action == 1:
                raise ValueError("stumbled")
            return super().step(action)

    inner = Stumbling()
    env = h5r.RecordToHDF5(inner, tmp_path / "run.h5", writer="inline")
    env.reset(seed=0)
    for _ in range(2):  # the first step takes another way than the others
        env.step(0)
        with pytest.raises(ValueError, match="stumbled"):
            env.step(1)
        assert numbers([env.render()]) == [inner.num_renders]
    env.close()


def test_a_step_trigger_within_an_episode_takes_one_picture_for_both_rows(tmp_path):
    env = PictureEnv()
    env = h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline", step_trigger=lambda step: step in (1, 3))
    env.reset(seed=0)
    for _ in range(5):
        env.step(0)
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [numbers(episode.frames) for episode in recording.episodes] == [[1, 2, 3], [3, 4]]


# ALE ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "rgb_array"])
def test_atari_shows_its_picture_as_observation(mode):
    env = make_atari(render_mode=mode)
    assert observation_is_picture(env)
    assert choose_frame_source(env, "auto").kind == "observation"
    assert choose_frame_source(env, "observation").kind == "observation"
    env.close()


def test_atari_observations_are_the_rendered_picture_bit_for_bit():
    env = make_atari(render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation, env.render())
    for action in (1, 2, 3, 0, 2):
        observation, *_ = env.step(action)
        np.testing.assert_array_equal(observation, env.render())
    env.close()


@pytest.mark.parametrize("obs_type", ["grayscale", "ram"])
def test_atari_with_other_observations_is_rendered(obs_type):
    env = make_atari(obs_type=obs_type, render_mode="rgb_array")
    assert not observation_is_picture(env)
    assert choose_frame_source(env, "auto").kind == "render"
    env.close()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: wrappers.TimeLimit(env, 10),
        wrappers.RecordEpisodeStatistics,
        lambda env: wrappers.ClipReward(env, -1, 1),
        lambda env: wrappers.StickyAction(wrappers.TransformReward(env, abs), 0.5),
    ],
    ids=["TimeLimit", "RecordEpisodeStatistics", "ClipReward", "two"],
)
def test_wrappers_that_leave_the_picture_alone_change_nothing(wrap):
    env = wrap(make_atari(render_mode="rgb_array"))
    assert observation_is_picture(env)
    env.close()


class Darker(gym.ObservationWrapper):
    def observation(self, observation):
        return observation // 2


class ClipReward(Darker):
    """Changes the picture, but has the name of a wrapper that does not."""


class DarkerTimeLimit(wrappers.TimeLimit):
    def step(self, action):
        observation, *rest = super().step(action)
        return observation // 2, *rest


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    "wrap",
    [
        Darker,
        ClipReward,
        lambda env: DarkerTimeLimit(env, 10),
        lambda env: wrappers.TransformObservation(env, lambda observation: observation // 2, env.observation_space),
        lambda env: wrappers.TimeLimit(Darker(env), 10),
        lambda env: wrappers.AddWhiteNoise(env, probability_of_noise_per_pixel=0.5),
        lambda env: wrappers.MaxAndSkipObservation(env, skip=2),
        lambda env: wrappers.DelayObservation(env, delay=2),
        lambda env: wrappers.Autoreset(env),
    ],
    ids=["custom", "same-name", "subclass", "transform", "below", "noise-in-render", "max", "delay", "unknown"],
)
def test_wrappers_that_may_change_the_picture_prevent_sharing_it(wrap):
    env = wrap(make_atari(render_mode="rgb_array"))
    assert not observation_is_picture(env)
    assert choose_frame_source(env, "auto").kind == "render"
    env.close()


def test_choosing_does_not_disturb_the_environment():
    env = make_atari(render_mode="rgb_array")
    env.reset(seed=3)
    before = env.unwrapped._np_random.bit_generator.state
    state = env.unwrapped.ale.cloneState(include_rng=True)
    choose_frame_source(env, "auto")
    assert env.unwrapped._np_random.bit_generator.state == before
    assert env.unwrapped.ale.cloneState(include_rng=True) == state
    env.close()
