"""What a run will cost, before it starts: parameters, arithmetic, memory, time.

All but the time is counted from the shapes. The memory is that of one training step of our own
loop, operation by operation as autograd keeps things; chapter 09 derives it and the tests compare
it with what the allocator says.
"""

import time
from dataclasses import dataclass

import torch

from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.resume import format_name
from minimind_lite.train import TrainConfig, choose_number_format, make_optimizers, training_step

# Of some GPUs: floating point operations a second on dense bfloat16 matrices, and bytes of memory,
# both as their maker publishes them.
GPUS = {
    "RTX 3090": (71e12, 24e9),
    "RTX 4090": (165e12, 24e9),
    "A100": (312e12, 80e9),
    "H100 SXM": (989e12, 80e9),
}


def parameter_counts(config: ModelConfig) -> dict[str, int]:
    """How many parameters are where. Tied embeddings count once.

    >>> config = ModelConfig()
    >>> sum(parameter_counts(config).values()) == sum(p.numel() for p in Transformer(config).parameters())
    True
    """
    h, L = config.hidden_size, config.num_hidden_layers
    width = config.num_attention_heads * config.head_dim
    kv_width = config.num_key_value_heads * config.head_dim
    return {
        "embedding and head": config.vocab_size * h * (1 if config.tie_word_embeddings else 2),
        "attention": L * h * 2 * (width + kv_width),
        "feed-forward": L * 3 * h * config.intermediate_size,
        "norms": L * (2 * h + 2 * config.head_dim) + h,
    }


def training_flops(config: ModelConfig, length: int) -> int:
    """Floating point operations of one row of `length` tokens, forward and backward.

    Each weight of a matrix is multiplied and added once a token, each pair of positions costs
    4 x width a layer (the causal half that a kernel may skip included); backward costs twice that.
    """
    counts = parameter_counts(config)
    matrices = counts["attention"] + counts["feed-forward"] + config.vocab_size * config.hidden_size
    pairs = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * length**2
    return 3 * (2 * matrices * length + pairs)


def activation_bytes(
    config: ModelConfig, length: int, number_format=torch.float32, walls=True
) -> int:
    """What autograd keeps of one token's forward pass in a row of `length` tokens, in bytes.

    walls: whether rows hold several documents, whose mask costs a number for every pair.
    """
    h, m = config.hidden_size, config.intermediate_size
    V, L = config.vocab_size, config.num_hidden_layers
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    q, kv = heads * config.head_dim, kv_heads * config.head_dim
    mask = length if walls else 0
    # a number a norm, by which it divided; a number a head from the softmax; input_ids and labels
    small = 4 * (L * (2 + 2 * heads + kv_heads) + 1) + 16
    if number_format == torch.float32:
        # norms: input, quotient, output; attention: queries and keys before and after their norm,
        # all three as the kernel saw them, its result twice; SwiGLU; log-probabilities
        return 4 * (L * (6 * h + 5 * q + 4 * kv + 4 * m + mask) + 3 * h + V) + small
    # The residual stream, the norms and the loss stay in float32, and so do two copies of queries
    # and keys in their norms; each of five matrices keeps a short copy of the same norm's output.
    short = 2 * (L * (5 * h + 3 * q + 2 * kv + 4 * m + mask) + h)
    return short + 4 * (L * (4 * h + 2 * q + 2 * kv) + 2 * h + V) + small


def step_memory(
    config: ModelConfig, training: TrainConfig, number_format=torch.float32, walls=True, processes=1
) -> dict[str, int]:
    """The parts of a training step's memory in bytes, and "peak", the most that is held at once.

    The peak is where the backward pass begins: all activations are still there, and the loss
    briefly holds two more numbers for each token of the vocabulary. Gradients are there as well
    from the second micro-batch on. With several processes, this is each one's, and DDP keeps a
    copy of the gradients to send them from. What a device keeps for itself comes on top.
    """
    counts = parameter_counts(config)
    parameters = sum(counts.values())
    tokens = training.micro_batch_size * training.sequence_length
    hidden = counts["attention"] + counts["feed-forward"]
    tables = 4 * config.max_position_embeddings * config.head_dim  # cosines and sines
    memory = {
        "weights": 4 * parameters + tables,
        "gradients": 4 * parameters,
        # AdamW keeps two numbers a weight, Muon one for the layers' matrices
        "optimizer": 4 * (2 * parameters - (hidden if training.optimizer == "muon" else 0)),
        "activations": tokens
        * activation_bytes(config, training.sequence_length, number_format, walls),
        "loss": 2 * 4 * tokens * config.vocab_size,
    }
    if processes > 1:
        memory["to send"] = 4 * parameters
    if number_format == torch.bfloat16:
        memory["short copies of weights"] = 2 * (hidden + config.vocab_size * config.hidden_size)
    standing = memory["weights"] + memory["optimizer"] + memory.get("to send", 0)
    not_yet = memory["gradients"] if training.accumulation_steps == 1 else 0
    backward = sum(memory.values()) - not_yet
    memory["peak"] = max(backward, standing + memory["gradients"])
    return memory


@dataclass
class Forecast:
    """What `forecast` found; str() of it is what --dry-run prints."""

    parameters: int
    memory: dict[str, int]  # bytes, for one process
    tokens_a_step: int  # at most: rows are packed, but seldom to the last position
    steps: int
    flops: int  # of the whole run, over all processes
    flops_per_second: float  # measured here, one process
    seconds: float
    number_format: torch.dtype
    device: torch.device

    def __str__(self):
        megabytes = {name: f"{size / 1e6:,.0f}" for name, size in self.memory.items()}
        peak, tokens = megabytes.pop("peak"), self.tokens_a_step
        parts = ", ".join(f"{name} {size}" for name, size in megabytes.items())
        return "\n".join([
            f"parameters   {self.parameters:,}",
            f"memory       {peak} MB a process at the peak of a step, predicted (MB: {parts})",
            f"tokens       {tokens:,} a step at most, {tokens * self.steps:,} in all",
            f"steps        {self.steps:,}",
            f"arithmetic   {self.flops:.2e} floating point operations",
            f"time         about {duration(self.seconds)}, predicted from "
            f"{self.flops_per_second / 1e9:,.0f} GFLOP/s measured here "
            f"({self.device.type}, {format_name(self.number_format)})",
            "Nothing was started.",
        ])  # fmt: skip


def duration(seconds: float) -> str:
    """
    >>> duration(50), duration(3000), duration(50_000), duration(500_000)
    ('50 s', '50 min', '13.9 h', '5.8 days')
    """
    for size, unit, digits in ((86_400, "days", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def measured_speed(
    config: ModelConfig, training: TrainConfig, device, enough: float = 0.3
) -> tuple[float, torch.dtype]:
    """Floating point operations a second of our own training step here, and the format it chose.

    Steps on random tokens, growing from a part of one row until one takes `enough` seconds or is
    a whole micro-batch; the random state is put back. A step reads the loss, so the time is that
    of the device, not of giving it orders.
    """
    state = torch.get_rng_state()
    model = Transformer(config).to(device)
    optimizers = make_optimizers(model, training)
    rows, length, number_format = 1, min(training.sequence_length, 128), None
    while True:
        ids = torch.randint(config.vocab_size, (rows, length + 1))
        window = [(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), None)]
        number_format = number_format or choose_number_format(training, model, window[0], device)
        times = []
        for _ in range(3):  # the first also allocates
            began = time.perf_counter()
            training_step(model, optimizers, window, 0, training, number_format)
            times.append(time.perf_counter() - began)
            if times[0] > 10 * enough:
                break
        whole = rows == training.micro_batch_size and length == training.sequence_length
        if min(times) > enough or whole:
            break
        if length < training.sequence_length:
            length = training.sequence_length
        else:
            rows = min(4 * rows, training.micro_batch_size)
    torch.set_rng_state(state)
    return rows * training_flops(config, length) / min(times), number_format


def forecast(
    config: ModelConfig, training: TrainConfig, device: torch.device, processes: int = 1
) -> Forecast:
    """Predict a run on `processes` devices like this one; takes a few seconds of measuring."""
    rows = training.micro_batch_size * training.accumulation_steps * processes
    flops = rows * training.total_steps * training_flops(config, training.sequence_length)
    speed, number_format = measured_speed(config, training, device)
    return Forecast(
        parameters=sum(parameter_counts(config).values()),
        memory=step_memory(config, training, number_format, processes=processes),
        tokens_a_step=rows * training.sequence_length,
        steps=training.total_steps, flops=flops, flops_per_second=speed,
        seconds=flops / speed / processes, number_format=number_format, device=device,
    )  # fmt: skip
