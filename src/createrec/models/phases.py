"""Stretches of training with the same loss, and their names (paper, Section 3.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# Names of phases, as they stand in histories and records.
WARMUP = "warmup"  # the graph alone; its length is a setting, so that no curve is compared in it
JOINT = "joint"
TRAIN = "train"  # where there is but one

StreamName = Literal["sequences", "prefixes", "edges"]


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with the same loss.

    Attributes:
        name: as logged and plotted, one of those above.
        epochs: how many.
        weights: weight of each loss term; a term that is absent or has weight 0 is not computed.
        streams: what a step draws. The first leads: an epoch is one pass over it, and the others are
            spread over the same number of steps, one pass each.
        max_length: how many items of a history a step reads; 0 = it reads none.
    """

    name: str
    epochs: int
    weights: Mapping[str, float]
    streams: tuple[StreamName, ...]
    max_length: int = 0

    def wants(self, term: str) -> bool:
        return self.weights.get(term, 0.0) != 0.0
