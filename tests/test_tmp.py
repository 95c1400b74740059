from tests.zoo import SPACES, ZooEnv, every_space, play, check_recorded
import gym_h5record as h5r
import pytest, warnings
@every_space
def test_x(space, tmp_path):
    env=h5r.RecordToHDF5(ZooEnv(space), tmp_path/"a.h5", writer="inline")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", h5r.errors.RecordingWarning)
        p=play(env,[9,4,9])
        env.close()
    with h5r.Recording(tmp_path/"a.h5") as rec:
        assert rec.observation_space==space
        check_recorded(rec,p)
