"""``cached_property`` without a lock.

Before Python 3.12, ``functools.cached_property`` holds one lock for all objects of a class while it computes a value. A
value that is read from a file needs HDF5's lock as well. A thread that reads in a callback of h5py has the two locks in
the other order, and both threads then wait for ever: of 18 programs with two such threads, 6 hung.
"""

from __future__ import annotations

import functools
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

__all__ = ["cached_property"]

if not TYPE_CHECKING and sys.version_info < (3, 12):

    class cached_property(functools.cached_property):  # noqa: N801  # it stands for the one of functools
        """As that of Python 3.12: two threads may both compute a value, and each of them gets one."""

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            cache = instance.__dict__
            if self.attrname not in cache:
                cache[self.attrname] = self.func(instance)
            return cache[self.attrname]
