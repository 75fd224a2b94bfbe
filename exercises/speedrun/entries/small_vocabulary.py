"""The smaller model with half the vocabulary and small batches: more, noisier steps.

In a small model most of the work is the output layer, whose size is the vocabulary's. A smaller
vocabulary makes it cheap; the price is more tokens for the same text.
"""

from exercises.speedrun.entries.common import train
from minimind_lite.train import TrainConfig


def run(race):
    shape = {
        "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32,
    }  # fmt: skip
    config = TrainConfig(
        total_steps=1000, warmup_steps=40, max_lr=8e-3, min_lr=1e-4, sequence_length=256, micro_batch_size=4,
        optimizer="muon",
    )  # fmt: skip
    return train(race, 1024, shape, config, texts=12_000)
