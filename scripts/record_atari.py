"""Record three episodes of Breakout with a random policy, and print the episodes."""

import argparse

import ale_py
import gymnasium as gym

import gym_h5record as h5r

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("path", nargs="?", default="breakout.h5", help="the file to write  [default: breakout.h5]")
path = parser.parse_args().path

gym.register_envs(ale_py)
env = h5r.RecordToHDF5(gym.make("ALE/Breakout-v5"), path, mode="w", metadata={"agent_id": "random"})
env.action_space.seed(0)
for number in range(3):
    observation, info = env.reset(seed=0 if number == 0 else None)
    done = False
    while not done:
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        done = terminated or truncated
env.close()

with h5r.Recording(path) as recording:
    print(recording)
    for episode in recording.episodes:
        print(episode, "first frame:", episode.frames[0].shape)
