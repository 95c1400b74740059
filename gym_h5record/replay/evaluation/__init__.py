"""A policy compared with recorded episodes.

``evaluator`` has ``evaluate``. In an open loop ``agreement`` counts how actions agree, by one rule for each kind of
space; in a closed loop ``closed_loop`` lets the policy act where recorded episodes began. ``policy`` says what a policy
is, ``bootstrap`` gives intervals of means, ``reports`` has the results.
"""
