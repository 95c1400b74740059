"""Properties: every value comes back the same, bit for bit and type for type."""

import copy
import itertools
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gym_h5record import Recording, RecordToHDF5, validate
from gym_h5record.errors import RecordingWarning
from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_keys, plan_space
from gym_h5record.format.names import link_name
from gym_h5record.format.ragged import encode
from gym_h5record.format.schema import Schema
from gym_h5record.format.schema_json import schema_from_json, schema_to_json
from gym_h5record.storage.hdf5.codecs import decode_chunk, make_codec
from gym_h5record.values.exact import identical
from gym_h5record.values.space_json import opaque_form, space_from_json, space_to_json
from gym_h5record.values.tagged_json import dumps, loads
from gym_h5record.writing import journal
from tests.custom_spaces import Anything
from tests.format.test_ragged import check_identity
from tests.properties.strategies import (
    PROFILE,
    any_spaces,
    extras,
    infos,
    keys,
    leaf_spaces,
    numbers,
    ragged_spaces,
    values,
)
from tests.stacking import DTYPES, NESTS, StackingEnv, check_stacks, record_stacks, scripts
from tests.values.test_space_json import check_same_space
from tests.writing import small_journal
from tests.zoo import ZooEnv, check_identical, check_recorded, play, samples

pytestmark = pytest.mark.compacted

# No shrinking: it would make hundreds of recordings more.
RECORDING = settings(PROFILE, max_examples=8, phases=[Phase.explicit, Phase.generate])

VECTORS = spaces.Box(-1, 1, (2,), np.float32)
PICTURES = spaces.Box(0, 255, (60, 50, 3), np.uint8)
ACTIONS = spaces.Discrete(3)

# Text ---------------------------------------------------------------------------------------------


@PROFILE
@given(values)
def test_value_is_identical_to_its_copy(value):
    assert identical(value, copy.deepcopy(value))


def planned(observation_space, action_space, first_infos, first_extras, times):
    """A schema as a recorder plans it."""
    observation, action = plan_space(observation_space, "observations"), plan_space(action_space, "actions")
    infos, extras = plan_keys("infos", first_infos), plan_keys("extras", [first_extras])
    return Schema(observation, action, None, infos, extras=extras, times=times)


@PROFILE
@given(values)
def test_tagged_text_gives_the_value_back(value):
    reported = []
    check_identical(loads(dumps(value, on_repr=reported.append)), value, "loads of dumps")
    assert reported == []


@PROFILE
@given(any_spaces())
def test_json_gives_the_space_back(space):
    check_same_space(space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False))), space)


@PROFILE
@given(any_spaces(2), any_spaces(1), st.lists(infos, max_size=2), infos, st.booleans())
def test_json_gives_the_schema_back(observation_space, action_space, first_infos, first_extras, times):
    schema = planned(observation_space, action_space, first_infos, first_extras, times)
    again = schema_from_json(schema_to_json(schema))
    assert again == schema
    assert again.fields == schema.fields
    for name in ("infos", "extras"):
        found, expected = ([column.key for column in getattr(each, name)] for each in (again, schema))
        check_identical(found, expected, f"keys of {name}")


# Columns ------------------------------------------------------------------------------------------


@PROFILE
@given(st.lists(keys, max_size=8))
def test_links_of_a_group_have_distinct_names(group):
    taken = set()
    names = [link_name(key, taken) for key in group]
    assert len(set(names)) == len(names)
    for name in names:
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert "\0" not in name
        name.encode("utf-8")  # no lone surrogates


@PROFILE
@given(any_spaces(2), any_spaces(2), st.lists(infos, max_size=2), infos, st.booleans())
def test_fields_of_a_schema_have_distinct_names(observation_space, action_space, first_infos, first_extras, times):
    schema = planned(observation_space, action_space, first_infos, first_extras, times)
    names = [field.name for field in schema.fields]
    assert len(set(names)) == len(names)
    assert not any(one.startswith(f"{other}/") for one, other in itertools.permutations(names, 2))


@pytest.mark.long
@PROFILE
@given(ragged_spaces(any_spaces(1)), st.integers(0, 1000))
def test_samples_of_ragged_spaces_are_never_refused_and_come_back(space, seed):
    check_identity(space, samples(space, 4, seed))


@PROFILE
@given(ragged_spaces(leaf_spaces), values)
def test_a_value_that_encode_accepts_comes_back(space, value):
    node = plan_space(space, "x")
    assert isinstance(node, nodes.Ragged)
    if encode(node, value) is not None:
        check_identity(space, [value, value])


# Chunks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip", "zstd", "lz4"], ids=str)
@PROFILE
@given(
    data=st.binary(max_size=2000)
    | st.tuples(st.binary(max_size=20), st.integers(0, 500)).map(lambda pair: pair[0] * pair[1])
)
def test_chunk_gives_the_bytes_back(compression, data):
    pytest.importorskip({"zstd": "zstandard", "lz4": "lz4"}.get(compression, "zlib"))
    codec = make_codec(compression)
    assert decode_chunk(codec.filter_id, codec.encode(memoryview(data)), len(data)) == data


# Recordings ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """The directory in which every example makes its own."""
    return tmp_path_factory.mktemp("recordings")


def check_records(env, directory, lengths, *, is_custom=False, **options):
    """Fail unless a recording of an environment has exactly the played episodes, and no file is left beside it.

    Of spaces of other packages, if ``is_custom``, it has what stands for them.
    """
    path = Path(tempfile.mkdtemp(dir=directory)) / "run.h5"
    recorder = RecordToHDF5(env, path, writer="inline", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # it warns of odd values, which this test records on purpose
        try:
            episodes = play(recorder, lengths)
        finally:
            recorder.close()
    with Recording(path) as recording:
        for name in ("observation_space", "action_space"):
            space = getattr(env, name)
            assert getattr(recording, name) == (opaque_form(space) if is_custom else space)
        check_recorded(recording, episodes)
    assert list(path.parent.iterdir()) == [path]
    path.unlink()


@RECORDING
@given(any_spaces(), any_spaces(1), st.lists(st.integers(0, 4), min_size=1, max_size=3))
def test_recording_of_any_spaces_is_exact(directory, observation_space, action_space, lengths):
    check_records(ZooEnv(observation_space, action_space, length=3), directory, lengths)


@RECORDING
@given(st.lists(infos, min_size=1, max_size=5), st.lists(numbers, min_size=1, max_size=5))
def test_recording_of_any_infos_and_rewards_is_exact(directory, given_infos, rewards):
    env = ZooEnv(
        VECTORS,
        ACTIONS,
        rewards=rewards,
        length=4,
        infos=lambda step: copy.deepcopy(given_infos[step % len(given_infos)]),
    )
    check_records(env, directory, [6, 2])


@RECORDING
@given(st.lists(st.none() | extras, min_size=1, max_size=5))
def test_recording_of_any_extras_is_exact(directory, given_extras):
    """Steps without extras, with keys that come and go, and with values that fit no column."""
    path = Path(tempfile.mkdtemp(dir=directory)) / "run.h5"
    env = RecordToHDF5(ZooEnv(VECTORS, ACTIONS, rewards=(1.0,), length=9), path, writer="inline")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # it warns of values that have become too large
        env.reset()
        for each in given_extras:
            if each is not None:
                env.add_extras(**each)
            env.step(env.action_space.sample())
        env.close()
    with Recording(path) as recording:
        found = recording.episodes[0].extras
        assert len(found) == len(given_extras)
        expected = [each or {} for each in given_extras]
        check_identical(found[:], expected, "extras")
        for key in {key for each in expected for key in each}:
            check_identical([*found[key]], [each.get(key) for each in expected], f"extras of {key!r}")
    path.unlink()


@pytest.mark.parametrize(
    "rewards",
    [[1e308, 1e308], [float("inf"), float("-inf")], [-1e308, np.float64(-1e308)]],
    ids=["over", "nan", "under"],
)
def test_recording_of_rewards_without_a_finite_sum_is_exact_and_gives_no_warning(directory, rewards):
    check_records(ZooEnv(VECTORS, ACTIONS, rewards=rewards), directory, [9, 9, 3])


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [(np.float16, 0x7C01), (np.float32, 0x7F800001), (np.float64, 0x7FF0000000000001)],
    ids=["float16", "float32", "float64"],
)
def test_recording_of_signalling_nans_is_exact(directory, dtype, bits):
    """Processors turn a signalling NaN into a quiet one whenever they cast a float."""
    number = np.array(bits, f"u{np.dtype(dtype).itemsize}").view(dtype)[()]
    env = ZooEnv(VECTORS, ACTIONS, rewards=[number, float(bits)], infos=lambda step: {"a": number, "b": (number, step)})
    check_records(env, directory, [4])


class AnythingEnv(ZooEnv):
    """Shows the given observations, whether or not they are in the space."""

    def __init__(self, space, observations):
        super().__init__(space, ACTIONS, length=4)
        self._observations = itertools.cycle(observations)

    def reset(self, **arguments):
        _, info = super().reset(**arguments)
        return copy.deepcopy(next(self._observations)), info

    def step(self, action):
        _, *rest = super().step(action)
        return copy.deepcopy(next(self._observations)), *rest


@RECORDING
@given(any_spaces(1), st.lists(values, min_size=1, max_size=4))
def test_recording_of_observations_outside_their_space_is_exact(directory, space, observations):
    check_records(AnythingEnv(space, observations), directory, [4, 1])


@RECORDING
@given(st.lists(values, min_size=1, max_size=4), st.lists(values, min_size=1, max_size=3))
def test_recording_of_any_values_of_custom_spaces_is_exact(directory, observations, actions):
    env = AnythingEnv(Anything(), observations)
    env.action_space = Anything(*actions)
    check_records(env, directory, [4, 1], is_custom=True)


@RECORDING
@given(st.lists(values, min_size=1, max_size=4), any_spaces(1), st.integers(0, 5))
def test_recording_of_custom_spaces_inside_of_gymnasiums_is_exact(directory, given_values, space, seed):
    """Values may differ from the first one in any way, and sequences and choices may be of anything."""
    custom = Anything(*given_values)
    inside = [custom, spaces.Sequence(custom), spaces.OneOf([space, custom]), spaces.Dict(a=space, b=custom)]
    env = ZooEnv(spaces.Dict(own=custom, items=spaces.Tuple(inside)), ACTIONS, length=3, seed=seed)
    check_records(env, directory, [5, 2], is_custom=True)


@PROFILE
@given(st.lists(values, max_size=4))
def test_ragged_values_of_custom_spaces_are_never_refused_and_come_back(given_values):
    check_identity(spaces.Sequence(Anything()), [tuple(given_values), (), tuple(given_values[:1])])
    check_identity(spaces.OneOf([ACTIONS, Anything()]), [(np.int64(1), each) for each in given_values])


@settings(RECORDING, max_examples=10)
@given(any_spaces(1), st.sampled_from([None, "gzip", "zstd", "lz4", "lzf"]), st.integers(0, 5))
def test_recording_with_any_compression_is_exact(directory, space, compression, seed):
    pytest.importorskip({"zstd": "zstandard", "lz4": "lz4"}.get(compression, "zlib"))
    pixels = np.random.default_rng(seed).integers(0, 4, (5, 60, 50, 3), np.uint8)
    env = ZooEnv(PICTURES, space, infos=lambda step: {"pixels": pixels[step % 5], "more": list(pixels[0, 0, 0])})
    check_records(env, directory, [9, 3], compression=compression)


# Stacks -------------------------------------------------------------------------------------------


@pytest.mark.long
@settings(RECORDING, max_examples=20)
@given(st.integers(2, 5), st.sampled_from(DTYPES), st.sampled_from(NESTS), scripts, st.sampled_from([8, 1 << 10]))
def test_recording_of_any_stacks_is_exact(directory, depth, dtype, nest, script, capacity_rows):
    """With a journal that is replaced by a larger one, too: a few stacks fill the smaller one."""
    path = Path(tempfile.mkdtemp(dir=directory)) / "run.h5"
    with pytest.MonkeyPatch.context() as patch:
        small_journal(patch, capacity_rows, max_bytes=1 << 18)
        patch.setattr(journal, "_MIN_BLOB_BYTES", 64)
        episodes = record_stacks(path, script, StackingEnv(depth, dtype, nest, seed=len(script)), writer="inline")
    check_stacks(path, episodes)
    assert depth == 3 or "Stack" in str(Recording(path).metadata["schema"])
    assert [each for each in validate(path, deep=True) if each.severity == "error"] == []
    path.unlink()
