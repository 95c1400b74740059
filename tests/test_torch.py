"""Datasets for PyTorch: every tensor that of the recording, in one process and in workers."""

import importlib
import pickle
import sys

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import MissingDependencyError, OptionError, RecordingClosedError, UnsupportedSpaceError
from gym_h5record.training import Window, transition_source
from tests.training.numbered import all_places, check_equal, check_transitions, places, record_numbered, same_batches

LENGTHS = (7, 1, 4, 0, 9)
MODULE = "gym_h5record.torch"

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),  # more workers than processors
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # from Python 3.12 on
]


def test_a_missing_torch_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.delattr(h5r, "torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r'needs torch.*pip install "gym_h5record\[torch\]"'):
        importlib.import_module(MODULE)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def face(torch):
    """``gym_h5record.torch``."""
    return importlib.import_module(MODULE)


@pytest.fixture(scope="module")
def loader(torch):
    """``DataLoader``."""
    return torch.utils.data.DataLoader


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return record_numbered(tmp_path_factory.mktemp("torch") / "a.h5", LENGTHS)


@pytest.fixture(scope="module")
def recording(numbered):
    with h5r.Recording(numbered) as recording:
        yield recording


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A recording of 6 steps with pictures, and leaves of uint8 that are none."""
    path = tmp_path_factory.mktemp("torch") / "pictures.h5"
    shapes = {"rgb": (6, 5, 3), "stack": (4, 8, 9), "pair": (5, 3), "clip": (2, 6, 5, 3)}
    space = spaces.Dict({name: spaces.Box(0, 255, shape, np.uint8) for name, shape in shapes.items()})
    tree = spaces.Tuple([space, spaces.Box(-1, 1, (2,), np.float64)])
    random = np.random.default_rng(0)
    parts = {name: random.integers(0, 256, (7, *shape), np.uint8) for name, shape in shapes.items()}
    with h5r.Writer(path, observation_space=tree, action_space=spaces.Box(-1, 1, (3,), np.float32)) as writer:
        writer.append_episode(
            observations=(parts, random.uniform(-1, 1, (7, 2))),
            actions=random.uniform(-1, 1, (6, 3)).astype(np.float32),
            rewards=random.normal(size=6),
            terminations=[False] * 5 + [True],
            truncations=[False] * 6,
        )
    return path


def arrays(tree):
    """A tree of tensors as one of arrays."""
    if isinstance(tree, dict):
        return {key: arrays(each) for key, each in tree.items()}
    if isinstance(tree, (tuple, list)):  # ``default_collate`` makes lists of tuples
        return tuple(arrays(each) for each in tree)
    return tree.numpy()


def batches_of(loader):
    return [arrays(batch) for batch in loader]


def random_batches(size, count):
    """Indices of batches in a random order."""
    order = np.random.default_rng(0).permutation(size)
    return [each.tolist() for each in np.array_split(order, count)]


# Transitions --------------------------------------------------------------------------------------------


def test_the_transitions_are_those_of_the_recording_in_its_order(face, recording):
    dataset = face.TransitionDataset(recording)
    samples = [dataset[at] for at in range(len(dataset))]
    batch = arrays(dataset.collate(samples))
    assert places(batch) == all_places(LENGTHS)
    check_transitions(recording, batch)


def test_a_batch_of_transitions_has_the_transitions_asked_for(face, recording):
    dataset = face.TransitionDataset(recording)
    indices = [5, 20, 0, 5, -1]
    samples = dataset.__getitems__(indices)
    assert len(samples) == 5
    for sample, at in zip(samples, indices, strict=True):
        check_equal(arrays(sample), arrays(dataset[at]))
    check_equal(arrays(dataset.collate(samples)), arrays(dataset.collate(list(samples))))
    assert places(arrays(dataset.collate(samples)))[-1] == (4, 8)


def test_transitions_beyond_the_last_are_an_index_error(face, recording):
    dataset = face.TransitionDataset(recording)
    assert len(dataset) == sum(LENGTHS)
    with pytest.raises(IndexError, match="there is no transition 21: the recording has 21"):
        dataset[21]
    with pytest.raises(IndexError, match="there is no transition -22"):
        dataset.__getitems__([3, -22])


@pytest.mark.parametrize("cache", [None, "all"])
def test_options_of_transitions_are_those_of_a_sampler(face, recording, cache):
    options = {"window": Window(observations=(-2, 1)), "n_step": 3, "gamma": 0.5, "pad": "drop", "cache": cache}
    names = ["observations/at", "rewards", "next_observations", "episodes", "steps"]
    dataset = face.TransitionDataset(recording.select([4, 0]), columns=names, **options)
    found = arrays(dataset.collate(dataset.__getitems__(range(len(dataset)))))
    (expected,) = recording.select([4, 0]).sampler(len(dataset), columns=names, **options)
    order = [places(expected).index(place) for place in places(found)]
    assert places(found) == [(4, step) for step in range(2, 9)] + [(0, step) for step in range(2, 7)]
    check_equal(found, sorted_by(expected, order))
    assert set(found["observations"]) == {"at"}


def sorted_by(batch, order):
    return {key: sorted_by(each, order) for key, each in batch.items()} if isinstance(batch, dict) else batch[order]


def test_a_path_is_opened_and_closed(face, numbered, recording):
    dataset = face.TransitionDataset(numbered)
    check_equal(arrays(dataset[3]), arrays(face.TransitionDataset(recording)[3]))
    dataset.close()
    with pytest.raises(RecordingClosedError):
        dataset[3]


def test_a_recording_that_was_given_open_stays_open(face, numbered):
    with h5r.Recording(numbered) as recording:
        face.TransitionDataset(recording).close()
        assert recording.num_steps == sum(LENGTHS)


def test_a_pickled_dataset_gives_the_same_transitions(face, numbered):
    dataset = face.TransitionDataset(numbered, n_step=2)
    copy = pickle.loads(pickle.dumps(dataset))
    dataset.close()  # the copy has a file of its own
    with h5r.Recording(numbered) as recording:
        expected = face.TransitionDataset(recording, n_step=2)
        check_equal(
            arrays(copy.collate(copy.__getitems__([0, 9]))), arrays(expected.collate(expected.__getitems__([0, 9])))
        )


def test_a_pickled_dataset_opens_no_second_recording(face, numbered):
    dataset = face.TransitionDataset(numbered)
    assert b"gym_h5record.reading.recording" not in pickle.dumps(dataset)
    dataset.close()


@pytest.mark.parametrize(
    ("method", "collated"), [("fork", "ours"), ("fork", "default"), ("spawn", "ours"), ("forkserver", "ours")]
)
def test_workers_read_the_same_transitions(face, loader, recording, method, collated):
    dataset = face.TransitionDataset(recording)
    options = {"batch_sampler": random_batches(len(dataset), 5)}
    if collated == "ours":
        options["collate_fn"] = dataset.collate
    expected = batches_of(loader(dataset, **options))
    assert sorted(place for batch in expected for place in places(batch)) == all_places(LENGTHS)
    for batch in expected:
        check_transitions(recording, batch)
    same_batches(batches_of(loader(dataset, num_workers=2, multiprocessing_context=method, **options)), expected)


def test_the_distributed_sampler_shares_the_transitions_out(face, torch, loader, recording):
    dataset = face.TransitionDataset(recording.select([0, 2, 4]))
    found = []
    for rank in (0, 1):
        sampler = torch.utils.data.DistributedSampler(dataset, num_replicas=2, rank=rank, seed=3)
        for batch in loader(dataset, batch_size=4, sampler=sampler, collate_fn=dataset.collate):
            found += places(arrays(batch))
    assert sorted(found) == [place for place in all_places(LENGTHS) if place[0] in (0, 2, 4)]


def test_transitions_of_two_recordings_are_stacked(face, torch, loader, recording):
    both = torch.utils.data.ConcatDataset([face.TransitionDataset(recording.select([each])) for each in (0, 2)])
    (batch,) = loader(both, batch_size=11, collate_fn=face.TransitionDataset.collate)
    assert places(arrays(batch)) == [(0, step) for step in range(7)] + [(2, step) for step in range(4)]
    check_transitions(recording, arrays(batch))


def test_transitions_that_were_taken_apart_are_stacked_with_their_tuples(face, pictures):
    with h5r.Recording(pictures) as recording:
        dataset = face.TransitionDataset(recording)
        samples = dataset.__getitems__([4, 1])
        found = dataset.collate([samples[0], samples[1]])
        assert isinstance(found["observations"], tuple)
        check_equal(arrays(found), arrays(dataset.collate(samples)))


# Batches of a sampler -----------------------------------------------------------------------------------


def epochs_of(recording, count, **options):
    """The batches of the first epochs, from a sampler alone."""
    sampler = recording.sampler(4, seed=1, **options)
    return [[*sampler] for _ in range(count)]


@pytest.mark.parametrize("order", ["uniform", "chunk"])
def test_without_workers_the_batches_are_those_of_the_sampler(face, loader, recording, order):
    sampler = recording.sampler(4, seed=1, order=order)
    batches = loader(face.SamplerDataset(sampler), batch_size=None)
    for expected in epochs_of(recording, 2, order=order):
        same_batches(batches_of(batches), expected)
    assert len(batches) == 6
    assert sampler.epoch == 2


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_workers_share_an_epoch_out_in_the_order_of_the_sampler(face, loader, recording, num_workers):
    dataset = face.SamplerDataset(recording.sampler(4, seed=1))
    batches = loader(dataset, batch_size=None, num_workers=num_workers, multiprocessing_context="fork")
    for expected in epochs_of(recording, 2):
        same_batches(batches_of(batches), expected)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_that_stay_give_the_next_epoch(face, loader, recording, method):
    dataset = face.SamplerDataset(recording.sampler(4, seed=1))
    batches = loader(dataset, batch_size=None, num_workers=2, multiprocessing_context=method, persistent_workers=True)
    expected = epochs_of(recording, 3)
    same_batches(batches_of(batches), expected[0])
    same_batches(batches_of(batches), expected[1])
    dataset.set_epoch(0)
    same_batches(batches_of(batches), expected[0])
    dataset.set_epoch(2)
    same_batches(batches_of(batches), expected[2])


def test_workers_go_on_where_the_state_says(face, loader, recording):
    expected = epochs_of(recording, 4)
    dataset = face.SamplerDataset(recording.sampler(4, seed=1))
    batches = loader(dataset, batch_size=None, num_workers=2)
    same_batches(batches_of(batches), expected[0])
    running = iter(batches)
    same_batches([arrays(next(running)) for _ in range(3)], expected[1][:3])
    state = dataset.state_dict(num_batches=3)
    resumed = face.SamplerDataset(recording.sampler(4, seed=1))
    resumed.load_state_dict(state)
    again = loader(resumed, batch_size=None, num_workers=2)
    same_batches(batches_of(again), expected[1][3:])
    assert resumed.state_dict(num_batches=3) == {**state, "epoch": 2, "batch": 0}
    same_batches(batches_of(again), expected[2])
    assert resumed.state_dict(num_batches=6) == {**state, "epoch": 3, "batch": 0}
    resumed.load_state_dict(state)
    same_batches(batches_of(loader(resumed, batch_size=None)), expected[1][3:])
    same_batches(batches_of(again), expected[2])


def test_the_state_without_workers_is_that_of_the_sampler(face, recording):
    dataset = face.SamplerDataset(recording.sampler(4))
    running = iter(dataset)
    next(running), next(running)
    assert dataset.state_dict() == dataset.sampler.state_dict()
    assert dataset.state_dict()["batch"] == 2


@pytest.mark.parametrize("num_batches", [-1, 7])
def test_a_state_of_more_batches_than_an_epoch_has_is_refused(face, recording, num_batches):
    with pytest.raises(OptionError, match=f"cannot have taken {num_batches}, an epoch has 6"):
        face.SamplerDataset(recording.sampler(4)).state_dict(num_batches)


def test_a_pickled_sampler_dataset_goes_on_where_it_was(face, loader, recording):
    dataset = face.SamplerDataset(recording.sampler(4, seed=1))
    dataset.set_epoch(1)
    copy = pickle.loads(pickle.dumps(dataset))
    same_batches(batches_of(loader(copy, batch_size=None)), epochs_of(recording, 2)[1])


# Tensors ------------------------------------------------------------------------------------------------


def test_tensors_have_the_dtypes_and_trees_of_the_file(face, torch, pictures):
    with h5r.Recording(pictures) as recording:
        sampler = recording.sampler(6, n_step=2, window=Window(actions=(0, 2)))
        expected = sampler.batch(0)
        (batch,) = face.SamplerDataset(sampler)
        check_equal(arrays(batch), expected)
    assert isinstance(batch["observations"], tuple)
    assert batch["observations"][0]["rgb"].dtype == torch.uint8
    assert batch["terminations"].dtype == batch["mask"]["actions"].dtype == torch.bool
    assert batch["rewards"].dtype == batch["observations"][1].dtype == torch.float64


def test_tensors_share_memory_with_the_arrays(face, torch):
    form = face._TensorForm(channels_first=True, dtype=None, window=None)
    array = np.zeros((2, 6, 5, 3), np.uint8)
    tensor = form.tensors({"observations": array})["observations"]
    array[1, 4, 3, 2] = 9
    assert tensor[1, 2, 4, 3] == 9


@pytest.mark.parametrize("window", [None, Window(observations=(-1, 1))], ids=["step", "window"])
def test_channels_come_first_in_pictures_only(face, pictures, window):
    with h5r.Recording(pictures) as recording:
        plain, moved = (
            face.TransitionDataset(recording, window=window, channels_first=each)[2] for each in (False, True)
        )
    for name in ("observations", "next_observations"):
        (before, vector), (after, same_vector) = plain[name], moved[name]
        for leaf in ("rgb", "clip"):
            assert after[leaf].shape[-3:] == (3, 6, 5)
            check_equal(after[leaf].numpy(), np.moveaxis(before[leaf].numpy(), -1, -3))
        for leaf in ("stack", "pair"):
            check_equal(after[leaf].numpy(), before[leaf].numpy())
        check_equal(same_vector.numpy(), vector.numpy())


def test_channels_come_first_in_workers_too(face, loader, pictures):
    with h5r.Recording(pictures) as recording:
        dataset = face.TransitionDataset(recording, channels_first=True)
        options = {"batch_size": 3, "collate_fn": dataset.collate}
        expected = batches_of(loader(dataset, **options))
        assert expected[0]["observations"][0]["rgb"].shape == (3, 3, 6, 5)
        same_batches(batches_of(loader(dataset, num_workers=1, **options)), expected)


def test_dtype_casts_floating_point_leaves_only(face, torch, pictures):
    with h5r.Recording(pictures) as recording:
        plain, cast = (face.TransitionDataset(recording, n_step=2, dtype=each)[1] for each in (None, torch.float16))
    for found, original in ((cast["rewards"], plain["rewards"]), (cast["observations"][1], plain["observations"][1])):
        assert found.dtype == torch.float16
        check_equal(found.numpy(), original.numpy().astype(np.float16))
    assert cast["actions"].dtype == cast["discounts"].dtype == torch.float16
    assert cast["dones"].dtype == torch.bool
    assert cast["observations"][0]["rgb"].dtype == torch.uint8
    assert cast["episodes"].dtype == torch.int64


def test_numbers_of_another_byte_order_become_native(face):
    form = face._TensorForm(channels_first=False, dtype=None, window=None)
    found = form.tensors({"actions": np.array([1.5, -2], ">f4")})["actions"]
    check_equal(found.numpy(), np.array([1.5, -2], np.float32))


def test_a_dtype_that_torch_does_not_have_is_named_with_its_column(face):
    form = face._TensorForm(channels_first=False, dtype=None, window=None)
    with pytest.raises(UnsupportedSpaceError, match=r"^observations: torch .* has no tensors of .*float.*columns="):
        form.tensors({"observations": {"a": np.zeros(2, np.longdouble)}})


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_unsigned_numbers_stay_unsigned(face, torch, dtype):
    form = face._TensorForm(channels_first=False, dtype=None, window=None)
    array = np.array([0, np.iinfo(dtype).max], dtype)
    check_equal(form.tensors({"actions": array})["actions"].numpy(), array)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": np.float32}, "dtype: expected one of floating point numbers"),
        ({"dtype": "float32"}, "dtype: expected one of floating point numbers"),
        ({"channels_first": 1}, "channels_first: expected True or False, got 1"),
    ],
    ids=["numpy dtype", "text", "number"],
)
def test_wrong_options_are_named(face, recording, options, message):
    with pytest.raises(OptionError, match=message):
        face.TransitionDataset(recording, **options)
    with pytest.raises(OptionError, match=message):
        face.SamplerDataset(recording.sampler(4), **options)


def test_whole_numbers_are_no_dtype_to_cast_to(face, torch, recording):
    with pytest.raises(OptionError, match=r"got torch\.int64"):
        face.TransitionDataset(recording, dtype=torch.int64)


def test_a_dataset_of_a_sampler_needs_a_sampler(face, recording):
    with pytest.raises(OptionError, match=r"expected what recording\.sampler\(\.\.\.\) returns"):
        face.SamplerDataset(recording)


def test_options_that_do_not_fit_leave_no_file_open(face, numbered, monkeypatch):
    opened = []
    monkeypatch.setattr(transition_source, "Recording", lambda path: opened.append(h5r.Recording(path)) or opened[0])
    with pytest.raises(OptionError, match="there is no 'nonsense'"):
        face.TransitionDataset(numbered, columns=["nonsense"])
    with pytest.raises(RecordingClosedError):
        opened[0].steps.rewards[:]


def test_no_transitions_are_a_batch_of_none(face, recording):
    assert len(face.TransitionDataset(recording).__getitems__([])) == 0
