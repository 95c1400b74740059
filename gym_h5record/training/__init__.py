"""Training: samples, windows, statistics and normalisation, straight from the file."""

from gym_h5record.training.windows import Window

__all__ = ["Window"]
