"""``TimeReversal``: windows that run backwards, where the user knows that the environment could do so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.training.transforms import LeafForm, SampleRandom, Transform, as_names, known_names

__all__ = ["TimeReversal"]

_NO_WAY_BACK = ("next_observations", "terminations", "truncations", "dones")


@dataclass(frozen=True)
class TimeReversal(Transform):
    """Turns the windows of some samples round: their first step becomes the last one.

    Only you know whether the environment allows it: whether from each observation, the reversed action leads to the
    observation before it. Velocities and most actions change their sign: name them in ``negated``. So that an action
    stands between the same two observations as before, give windows such as
    ``Window(observations=(0, 9), actions=(0, 8))``.

    Every column of the batch must have a window, and none may be ``next_observations``, ``terminations``,
    ``truncations`` or ``dones``, which would be wrong: name the others in ``columns=[...]``. The masks are turned round
    with the windows.

    Attributes:
        negated: The names of the leaves whose sign changes.
        probability: How likely a sample is to be turned round.

    Raises:
        OptionError: If an argument is wrong. When the sampler is made, if the batch has other columns, or a leaf whose
            sign cannot change.

    Example:
        >>> TimeReversal(negated=["actions", "observations/velocity"]).probability
        0.5
    """

    negated: str | Sequence[str] = ()
    probability: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "negated", as_names("TimeReversal", self.negated))
        if not (isinstance(self.probability, (int, float)) and 0 <= self.probability <= 1):
            raise OptionError(f"TimeReversal: probability expects a number from 0 to 1, got {self.probability!r:.80}")

    def fit(self, forms: Mapping[str, LeafForm]) -> Mapping[str, LeafForm]:
        """See ``Transform.fit``."""
        for name, form in forms.items():
            if name.split("/")[0] in _NO_WAY_BACK:
                raise OptionError(
                    f"TimeReversal: {name} would be wrong in a window that runs backwards: leave it out, with "
                    "columns=[...]"
                )
            if form.of_sample != "window":
                raise OptionError(
                    f"TimeReversal: {name} has no window: give it one, or leave it out, with columns=[...]"
                )
        for name in known_names("TimeReversal", self.negated, forms):
            if forms[name].dtype.kind not in "if":
                raise OptionError(f"TimeReversal: {name} has values of {forms[name].dtype}, which have no sign")
        return forms

    def apply(self, leaves: dict[str, np.ndarray], random: SampleRandom) -> None:
        """See ``Transform.apply``."""
        turned = np.flatnonzero(random.uniforms(1)[:, 0] < self.probability)
        for name, values in leaves.items():
            backwards = values[turned][:, ::-1]
            values[turned] = -backwards if name in self.negated else backwards
