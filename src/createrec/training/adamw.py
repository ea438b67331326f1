"""Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw


class AdamW:
    """Calls the function behind `torch.optim.AdamW` and gives the same bits, as one fused kernel for all parameters.

    The class itself loads torch's compiler with its first object. That takes as long as torch, in every training, and
    nothing here is compiled.

    Args:
        parameters: what is trained.
        learning_rate: the step's length.
        betas: how much of the mean gradient and of the mean squared gradient one step keeps.
        weight_decay: the share of the weights, times the learning rate, that a step takes away.
        capturable: a step may be captured as a CUDA graph.

    Attributes:
        state: of each parameter that has had a gradient, `step` (a scalar), `exp_avg` and `exp_avg_sq` (its shape),
            all on its device.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        learning_rate: float,
        betas: tuple[float, float],
        weight_decay: float,
        capturable: bool,
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate, self.betas, self.weight_decay = learning_rate, betas, weight_decay
        self.capturable = capturable
        self.state: dict[nn.Parameter, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Updates every parameter that has a gradient."""
        parameters: list[Tensor] = []
        gradients: list[Tensor] = []
        states: list[dict[str, Tensor]] = []
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameters.append(parameter)
                gradients.append(parameter.grad)
                if parameter not in self.state:
                    self.state[parameter] = {
                        "step": torch.zeros((), device=parameter.device),
                        "exp_avg": torch.zeros_like(parameter),
                        "exp_avg_sq": torch.zeros_like(parameter),
                    }
                states.append(self.state[parameter])
        adamw(
            parameters,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            capturable=self.capturable,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
