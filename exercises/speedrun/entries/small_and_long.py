"""A smaller model reads more: a quarter of the parameters, four times the tokens, the same FLOPs."""

from exercises.speedrun.entries.common import train
from minimind_lite.train import TrainConfig


def run(race):
    shape = {
        "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32,
    }  # fmt: skip
    config = TrainConfig(
        total_steps=1000, warmup_steps=40, max_lr=8e-3, min_lr=1e-4, sequence_length=256, micro_batch_size=8,
        optimizer="muon",
    )  # fmt: skip
    return train(race, 2048, shape, config, texts=12_000)
