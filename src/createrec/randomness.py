"""One seed, split by purpose: a change in one use of chance never shifts another."""

import hashlib

import torch
from torch import Tensor

from createrec.errors import CheckpointError

# Dropout draws from torch's default generator, because no dropout kernel takes another one.
DROPOUT = "dropout"


class Randomness:
    """Generators by purpose (init/..., order/..., negatives, masking, dropout), all derived from one seed.

    `init/...` generators live on the CPU, so that a seed gives the same start on every device; the others
    live on the device that they serve.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.seed = seed
        self.device = torch.device(device)
        self._generators: dict[str, torch.Generator] = {}
        torch.manual_seed(self.derived_seed(DROPOUT))

    def derived_seed(self, purpose: str) -> int:
        """A 63-bit seed that depends on the run's seed and the purpose alone."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{purpose}".encode()).digest()[:8], "little") >> 1

    def generator(self, purpose: str) -> torch.Generator:
        """The purpose's generator, the same object at each call."""
        if purpose not in self._generators:
            device = "cpu" if purpose.startswith("init/") else self.device
            self._generators[purpose] = torch.Generator(device).manual_seed(self.derived_seed(purpose))
        return self._generators[purpose]

    def generators(self) -> list[torch.Generator]:
        """All generators that live on the device and have been used."""
        return [generator for purpose, generator in self._generators.items() if not purpose.startswith("init/")]

    def state(self) -> dict[str, Tensor]:
        """States by purpose, uint8 tensors on the CPU."""
        states = {
            purpose: generator.get_state()
            for purpose, generator in self._generators.items()
            if not purpose.startswith("init/")
        }
        cuda = self.device.type == "cuda"
        states[DROPOUT] = torch.cuda.get_rng_state(self.device) if cuda else torch.get_rng_state()
        return states

    def load_state(self, states: dict[str, Tensor]) -> None:
        """Continues where `state` was taken; purposes that had not been used by then begin again.

        Raises:
            CheckpointError: a state does not fit this device's generators.
        """
        for purpose, generator in self._generators.items():
            if not purpose.startswith("init/") and purpose not in states:
                generator.manual_seed(self.derived_seed(purpose))
        try:
            for purpose, state in states.items():
                if purpose != DROPOUT:
                    self.generator(purpose).set_state(state)
                elif self.device.type == "cuda":
                    torch.cuda.set_rng_state(state, self.device)
                else:
                    torch.set_rng_state(state)
        except (RuntimeError, TypeError) as error:
            raise CheckpointError(f"the random state '{purpose}' does not fit this device ({error})") from None
