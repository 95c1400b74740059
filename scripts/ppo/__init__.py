"""The parts of ``scripts/train_ppo.py``: it trains PPO on recorded environments, and kills trainings.

::

    training      PPO in one file
    played        notes what the agent gives and gets, and compares a recording with it
    kills         trains in a process of its own, and kills it
"""
