"""Which phase an epoch belongs to (paper, Section 3.6). Phases are data: the trainer has no branch for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from createrec.models.phases import Phase


@dataclass(frozen=True)
class Schedule:
    """Phases one after the other, epochs counted through."""

    phases: tuple[Phase, ...]

    @classmethod
    def of(cls, phases: Sequence[Phase]) -> "Schedule":
        return cls(tuple(phase for phase in phases if phase.epochs > 0))

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    def phase(self, epoch: int) -> Phase:
        """The phase of a 0-based epoch."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        raise IndexError("epoch beyond the schedule")

    def is_last_phase(self, epoch: int) -> bool:
        return self.phase(epoch) is self.phases[-1]
