"""PyTorch's optimizers with the same numbers, but ready sooner, and Muon in fewer calls."""

from collections import defaultdict
from inspect import unwrap

import torch
from torch.optim import Optimizer


class Uncompiled:
    """What every training calls, without the wrappers that PyTorch puts around it.

    They keep `torch.compile` out of an optimizer, and to do so load it: a second at every start. We
    compile the model, never the optimizer.
    """

    add_param_group = unwrap(Optimizer.add_param_group)


class AdamW(Uncompiled, torch.optim.AdamW):
    """`torch.optim.AdamW` (Loshchilov & Hutter, 2019), bit for bit."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class Muon(Uncompiled, torch.optim.Muon):
    """`torch.optim.Muon` (Jordan et al., 2024), a group of equal shapes at a time.

    A small model has many small matrices, and PyTorch takes them one by one: then calling takes as
    long as computing. Options, state and results are those of the original, bit for bit on a CPU.
    """

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            same_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    same_shape[parameter.shape].append(parameter)
            for shape, parameters in same_shape.items():
                self.step_together(shape, parameters, group)
        return loss

    def step_together(self, shape: torch.Size, parameters: list, group: dict) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        averages = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        gradients, momentum = [parameter.grad for parameter in parameters], group["momentum"]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        updates = torch._foreach_lerp(gradients, averages, momentum) if group["nesterov"] else averages
        updates = orthogonal(torch.stack(updates), group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = shape
        lr = group["lr"]
        if group["adjust_lr_fn"] == "match_rms_adamw":
            lr *= 0.2 * max(rows, columns) ** 0.5
        else:
            lr *= max(1, rows / columns) ** 0.5
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(updates.to(parameters[0].dtype).unbind()), alpha=-lr)


def orthogonal(updates: torch.Tensor, coefficients: tuple, steps: int, eps: float) -> torch.Tensor:
    """Nearly the nearest matrices whose singular values are all 1, by Newton and Schulz's iteration.

    updates: [matrices, rows, columns] -> the same, in bfloat16.
    """
    if updates.shape[1] > updates.shape[2]:
        return orthogonal(updates.mT, coefficients, steps, eps).mT
    a, b, c = coefficients
    x = updates.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)  # no singular value is above 1 now
    for _ in range(steps):
        square = x @ x.mT
        polynomial = torch.baddbmm(square, square, square, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x
