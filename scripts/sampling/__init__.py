"""The parts of ``scripts/bench_sampler.py``.

::

    peers         how others sample transitions
"""
