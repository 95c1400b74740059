"""PPO on eight CartPoles in one file, a vector step at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor, nn
from torch.distributions import Categorical

__all__ = ["NUM_ENVS", "ROLLOUT_STEPS", "Training", "make_deterministic", "make_envs"]

NUM_ENVS = 8
ROLLOUT_STEPS = 32  # vector steps between two updates
EPOCHS, BATCH_SIZE = 20, 256
LEARNING_RATE, CLIP = 1e-3, 0.2  # both fall to 0 until the end
GAMMA, LAMBDA = 0.98, 0.8
VALUE_WEIGHT, MAX_GRADIENT = 0.5, 0.5

Batch = dict[str, Tensor]


def make_deterministic() -> None:
    """Make two trainings alike. The network is small: with more threads it would also take longer."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)


def make_envs() -> Any:
    """Eight CartPoles. A step of its own resets an environment whose episode has ended."""
    options = {"autoreset_mode": AutoresetMode.NEXT_STEP}
    return gym.make_vec("CartPole-v1", num_envs=NUM_ENVS, vectorization_mode="sync", vector_kwargs=options)


class Agent(nn.Module):
    """A policy and a value for each observation."""

    def __init__(self, num_features: int, num_actions: int) -> None:
        super().__init__()
        self.actor = _network(num_features, num_actions, gain=0.01)
        self.critic = _network(num_features, 1, gain=1.0)

    def forward(self, observations: Tensor) -> tuple[Categorical, Tensor]:
        """The policies and values of observations ``(..., features)``."""
        return Categorical(logits=self.actor(observations)), self.critic(observations).squeeze(-1)


class Training:
    """One training.

    Attributes:
        agent: The agent.
        returns: The returns of the episodes that ended, in this order.
        stepping_s: How long each vector step of the environments, and of the recorder around them, took.
    """

    def __init__(self, envs: Any, seed: int, num_steps: int) -> None:
        """Begin a training.

        Args:
            envs: Vector environments, recorded or not.
            seed: The seed of the environments and of PyTorch.
            num_steps: Steps of all environments together, rounded up to whole updates.
        """
        torch.manual_seed(seed)
        self.agent = Agent(envs.single_observation_space.shape[0], int(envs.single_action_space.n))
        self.returns: list[float] = []
        self.stepping_s: list[float] = []
        self._envs, self._seed = envs, seed
        self._num_updates = -(-num_steps // (ROLLOUT_STEPS * NUM_ENVS))
        self._optimizer = torch.optim.Adam(self.agent.parameters(), LEARNING_RATE, eps=1e-5)
        self._running_returns = np.zeros(NUM_ENVS)

    def steps(self) -> Iterator[int]:
        """Train, and yield the number of vector steps after each of them."""
        self._observations, _ = self._envs.reset(seed=self._seed)
        self._is_over = np.zeros(NUM_ENVS, bool)
        num_vector_steps = 0
        for update in range(self._num_updates):
            steps = []
            for _ in range(ROLLOUT_STEPS):
                steps.append(self._step())
                num_vector_steps += 1
                yield num_vector_steps
            self._learn({name: torch.stack([each[name] for each in steps]) for name in steps[0]}, update)

    def run(self) -> str:
        """Train to the end.

        Returns:
            The SHA-256 of the weights.
        """
        for _ in self.steps():
            pass
        digest = hashlib.sha256()
        for name, tensor in self.agent.state_dict().items():
            digest.update(name.encode() + tensor.numpy().tobytes())
        return digest.hexdigest()

    def _step(self) -> Batch:
        before, is_reset = torch.as_tensor(self._observations), torch.as_tensor(self._is_over)
        with torch.no_grad():
            policy, values = self.agent(before)
            actions = policy.sample()
            log_probs = policy.log_prob(actions)
        begin = time.perf_counter()
        if hasattr(self._envs, "add_extras"):  # a recorder
            self._envs.add_extras(log_prob=log_probs.numpy(), value=values.numpy())
        after, rewards, terminations, truncations, _ = self._envs.step(actions.numpy())
        self.stepping_s.append(time.perf_counter() - begin)
        self._observations, self._is_over = after, terminations | truncations
        self._running_returns += rewards
        self.returns += self._running_returns[self._is_over].tolist()
        self._running_returns[self._is_over] = 0
        return {
            "observations": before,
            "actions": actions,
            "log_probs": log_probs,
            "values": values,
            "next_observations": torch.as_tensor(after),
            "rewards": torch.as_tensor(rewards, dtype=torch.float32),
            "terminations": torch.as_tensor(terminations),
            "truncations": torch.as_tensor(truncations),
            "is_reset": is_reset,
        }

    def _learn(self, rollout: Batch, update: int) -> None:
        with torch.no_grad():
            rollout["next_values"] = self.agent(rollout["next_observations"])[1]
            rollout = _with_advantages(rollout)
        batch = {name: tensor[~rollout["is_reset"]] for name, tensor in rollout.items()}
        left = 1 - update / self._num_updates
        for group in self._optimizer.param_groups:
            group["lr"] = LEARNING_RATE * left
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(batch["actions"])).split(BATCH_SIZE):
                self._optimizer.zero_grad()
                _loss(self.agent, {name: tensor[rows] for name, tensor in batch.items()}, CLIP * left).backward()
                nn.utils.clip_grad_norm_(self.agent.parameters(), MAX_GRADIENT)
                self._optimizer.step()


def _network(num_inputs: int, num_outputs: int, gain: float) -> nn.Sequential:
    layers = [nn.Linear(num_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, num_outputs)]
    for layer, its_gain in zip(layers[::2], (2**0.5, 2**0.5, gain), strict=True):
        nn.init.orthogonal_(layer.weight, its_gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def _with_advantages(rollout: Batch) -> Batch:
    """Add ``advantages`` and ``targets`` of the values, ``(steps, envs)``, by generalised advantage estimation.

    Where an episode ends, ``next_values`` has the value of its true final observation, because the step after resets
    the environment. That step is no transition. Its advantage means nothing, and no other one depends on it.
    """
    goes_on = ~(rollout["terminations"] | rollout["truncations"])
    targets = rollout["rewards"] + GAMMA * rollout["next_values"] * ~rollout["terminations"]
    advantages = targets - rollout["values"]
    for step in reversed(range(len(advantages) - 1)):
        advantages[step] += GAMMA * LAMBDA * goes_on[step] * advantages[step + 1]
    return {**rollout, "advantages": advantages, "targets": advantages + rollout["values"]}


def _loss(agent: Agent, batch: Batch, clip: float) -> Tensor:
    """The clipped loss of the policy, and the squared error of the values."""
    policy, values = agent(batch["observations"])
    ratios = (policy.log_prob(batch["actions"]) - batch["log_probs"]).exp()
    advantages = batch["advantages"]
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    gains = torch.minimum(ratios * advantages, ratios.clamp(1 - clip, 1 + clip) * advantages)
    return VALUE_WEIGHT * (values - batch["targets"]).square().mean() - gains.mean()
