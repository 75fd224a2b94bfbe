"""Counting what a training costs: floating-point operations in matrix products and attention.

The count does not depend on the machine, so a slow laptop and a fast one compete fairly. PyTorch's
own counter does the work. As it comes, it does not know the attention kernel for CPUs and counts
it as nothing, without a word; here it is told.
"""

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten
FOR_CPU = {  # the arguments are shapes
    aten._scaled_dot_product_flash_attention_for_cpu:
        lambda query, key, value, *_, **__: sdpa_flop_count(query, key, value),
    aten._scaled_dot_product_flash_attention_for_cpu_backward:
        lambda gradient, query, key, value, *_, **__: sdpa_backward_flop_count(gradient, query, key, value),
}  # fmt: skip


class Overrun(RuntimeError):
    """More FLOPs were spent than there were."""


class Budget(FlopCounterMode):
    """While it is entered, every product and every attention of torch is charged to the budget.

    Forward, backward and optimizer count alike; additions, activations and norms are free. The
    operation that goes past the budget raises Overrun.
    """

    def __init__(self, flops: float):
        super().__init__(display=False, custom_mapping=FOR_CPU)
        self.flops = flops

    @property
    def spent(self) -> int:
        return self.get_total_flops()

    def _count_flops(self, func_packet, out, args, kwargs):
        out = super()._count_flops(func_packet, out, args, kwargs)
        if func_packet in self.flop_registry and self.spent > self.flops:
            raise Overrun(f"the budget of {self.flops:.3g} FLOPs is overrun")
        return out
