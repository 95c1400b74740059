"""Validation: what is wrong with a recording, found without changing or believing it.

``validate`` is the door. ``structure`` looks at how the file is put together,
``metadata`` at its attributes, ``contents`` reads every row. ``catalogue`` has
every kind of problem.
"""
