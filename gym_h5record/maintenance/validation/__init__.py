"""Validation finds what is wrong with a recording; it changes nothing and believes nothing that the file claims.

``validator.validate`` is the entry point. ``structure`` checks the columns and the episode index, ``metadata`` checks
the attributes. With ``deep``, ``checksums`` compares every block with its CRC-32, and ``values`` and ``episodes`` check
every row. ``problems`` lists every kind of problem.
"""
