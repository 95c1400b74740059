"""Recordings looked after: ``validation/`` finds problems, ``repairs/`` mends, ``comparing`` tells two files apart."""
