"""A policy against recorded episodes.

``agreement`` compares actions, one rule for each kind of space; ``closed_loop`` lets the
policy act where recorded episodes began; ``bootstrap`` says how sure means are; ``policy``
asks for actions; ``evaluate`` is the door to all of it, ``reports`` what comes out. Nothing is
learned here, and nothing printed.
"""
