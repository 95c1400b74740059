"""Training: samples, windows, statistics and normalisation, straight from the file."""

from gym_h5record.training.noise import Noise
from gym_h5record.training.pictures import RandomCrop, RandomShift
from gym_h5record.training.time_reversal import TimeReversal
from gym_h5record.training.transforms import LeafForm, SampleRandom, Transform
from gym_h5record.training.windows import Window

__all__ = ["LeafForm", "Noise", "RandomCrop", "RandomShift", "SampleRandom", "TimeReversal", "Transform", "Window"]
