"""Transforms change a sample by the seed, the epoch and the sample, and by nothing else."""

import pickle

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.training import LeafForm, Noise, SampleRandom, Transform, Window
from gym_h5record.training.transforms import as_names, known_names
from tests.training.numbered import check_equal, places, record_numbered, same_batches, values_at

LENGTHS = (7, 1, 4, 0, 9)
NOISE = (Noise("observations/at", 1.0), Noise(["rewards", "next_observations/at"], 0.5))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    with h5r.Recording(record_numbered(tmp_path_factory.mktemp("transforms") / "a.h5", LENGTHS)) as recording:
        yield recording


def by_place(samplers, epoch=0):
    """The samples of an epoch by their places, from the samplers of all ranks."""
    found = {}
    for sampler in samplers:
        sampler.set_epoch(epoch)
        for batch in sampler:
            found.update({place: values_at(batch, at) for at, place in enumerate(places(batch))})
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 4},
        {"batch_size": 2, "world_size": 3},
        {"batch_size": 2, "order": "chunk"},
        {"batch_size": 3, "cache": "all"},
        {"batch_size": 3, "cache": "compressed"},
    ],
    ids=str,
)
def test_a_sample_is_changed_alike_whatever_the_batches_and_ranks_are(recording, options):
    expected = by_place([recording.sampler(21, transforms=NOISE)], epoch=3)
    ranks = range(options.get("world_size", 1))
    found = by_place([recording.sampler(rank=rank, transforms=NOISE, **options) for rank in ranks], epoch=3)
    assert len(found) == 21
    for place, sample in expected.items():
        check_equal(found[place], sample)


def test_a_sample_is_changed_in_another_way_by_another_seed_epoch_and_transform(recording):
    behind_another = (Noise("rewards", 0), *NOISE)
    one, epoch, seed, second = (
        by_place([recording.sampler(21, seed=seed, transforms=transforms)], epoch)
        for seed, epoch, transforms in ((0, 0, NOISE), (0, 1, NOISE), (1, 0, NOISE), (0, 0, behind_another))
    )
    for place, sample in one.items():
        noise = sample["observations"]["at"]
        assert all((noise != other[place]["observations"]["at"]).all() for other in (epoch, seed, second))


def test_a_sample_that_is_drawn_twice_is_changed_in_two_ways(recording):
    batch = recording.sampler(200, replace=True, transforms=[Noise("rewards", 1.0)]).batch(0)
    assert len(np.unique(batch["rewards"])) == 200


def test_draws_are_changed_alike_whatever_the_batch_size_is(recording):
    one = [h5r.ReplayBuffer(recording, seed=1, transforms=NOISE).sample(12)]
    buffer = h5r.ReplayBuffer(recording, seed=1, transforms=NOISE)
    parts = [buffer.sample(5), buffer.sample(7)]
    check_equal(np.concatenate([each["rewards"] for each in parts]), one[0]["rewards"])


def test_what_no_transform_names_stays_as_it_is(recording):
    plain, changed = (recording.sampler(21, transforms=each).batch(0) for each in ((), NOISE))
    assert list(changed) == list(plain)
    for name in ("actions", "terminations", "episodes", "steps"):
        check_equal(changed[name], plain[name])
    check_equal(changed["observations"]["number"], plain["observations"]["number"])
    assert (changed["observations"]["at"] != plain["observations"]["at"]).all()


def test_resuming_and_pickling_change_the_samples_alike(recording):
    expected = [*recording.sampler(4, transforms=NOISE)]
    sampler = recording.sampler(4, transforms=NOISE)
    next(iter(sampler))
    same_batches([*pickle.loads(pickle.dumps(sampler))], expected[1:])
    other = recording.sampler(4, transforms=NOISE)
    other.load_state_dict(sampler.state_dict())
    same_batches([*other], expected[1:])


def test_a_whole_episode_is_changed_alike_however_much_it_is_padded(recording):
    def by_episode(batch_size):
        sampler = recording.sampler(
            batch_size, whole_episodes=True, transforms=[Noise(["rewards", "observations/at"], 1)]
        )
        found = {}
        for batch in sampler:
            for at, (number, length) in enumerate(zip(batch["episodes"].tolist(), batch["lengths"], strict=True)):
                found[number] = batch["rewards"][at, :length], batch["observations"]["at"][at, : length + 1]
        return found

    one, other = by_episode(4), by_episode(1)
    assert one.keys() == other.keys() == {0, 1, 2, 4}
    for number, values in one.items():
        check_equal(values, other[number])


class Doubled(Transform):
    """A transform of a user: leaves of two more numbers."""

    def fit(self, forms):
        return {**forms, "rewards": LeafForm(np.dtype(np.float32), (2,), forms["rewards"].of_sample)}

    def apply(self, leaves, random):
        leaves["rewards"] = np.repeat(leaves["rewards"][..., None], 2, axis=-1).astype(np.float32)


def test_a_transform_sees_what_those_before_it_made(recording):
    batch = recording.sampler(4, transforms=[Doubled(), Noise("rewards", [0.0, 1.0])]).batch(0)
    assert batch["rewards"].shape == (4, 2)
    assert batch["rewards"].dtype == np.float32
    plain = recording.sampler(4).batch(0)["rewards"].astype(np.float32)
    check_equal(batch["rewards"][:, 0], plain)
    assert (batch["rewards"][:, 1] != plain).all()


def test_leaves_of_tuples_are_changed(tmp_path):
    box = spaces.Box(-1, 1, (2,), np.float32)
    with h5r.Writer(
        tmp_path / "a.h5", observation_space=spaces.Tuple([box, box]), action_space=spaces.Discrete(2)
    ) as writer:
        zeros = np.zeros((6, 2), np.float32)
        writer.append_episode(
            observations=(zeros, zeros), actions=np.zeros(5, np.int64), rewards=np.zeros(5), terminations=None,
            truncations=None,
        )  # fmt: skip
    with h5r.Recording(tmp_path / "a.h5") as recording:
        batch = recording.sampler(5, transforms=[Noise("observations/1", 1.0)]).batch(0)
    assert (batch["observations"][0] == 0).all()
    assert (batch["observations"][1] != 0).all()


def test_random_numbers_of_a_sample_are_its_own_and_of_the_right_kind():
    keys = np.arange(2000, dtype=np.uint64)
    random = SampleRandom(keys)
    normals = random.normals(50)
    assert abs(normals.mean()) < 0.02
    assert abs(normals.std() - 1) < 0.02
    assert (np.abs(normals) > 3).mean() == pytest.approx(0.0027, rel=0.3)
    check_equal(SampleRandom(keys[7:9]).normals(3), normals[7:9, :3])
    integers = random.integers(7, 3)
    assert {*integers.ravel().tolist()} == {*range(7)}
    assert (random.stream(0).uniforms(4) != random.stream(1).uniforms(4)).all()


def test_masks_of_windows_are_among_the_leaves_of_a_transform(recording):
    seen = []

    class Seeing(Doubled):
        def fit(self, forms):
            return forms

        def apply(self, leaves, random):
            seen.extend(leaves)

    recording.sampler(4, columns=["actions"], window=Window(actions=(0, 2)), transforms=[Seeing()]).batch(0)
    assert seen == ["actions", "mask/actions"]


def test_names_are_those_of_leaves():
    forms = {"rewards": LeafForm(np.dtype(np.float64), (), "value")}
    assert as_names("Noise", ["rewards", "rewards"]) == ("rewards",)
    with pytest.raises(OptionError, match="Noise: expected the name of a leaf or a list of names, got 3"):
        as_names("Noise", 3)
    with pytest.raises(OptionError, match="Noise: there is no leaf 'reward' in a batch. Its leaves are rewards"):
        known_names("Noise", ["reward"], forms)
