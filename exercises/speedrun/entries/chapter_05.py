"""The recipe of chapter 05 as it is: the shape, the rates and the batch of `lite`, stopped early."""

from dataclasses import replace

from exercises.speedrun.entries.common import train
from minimind_lite.recipe import PRESETS


def run(race):
    lite = PRESETS["lite"]
    shape = {
        "hidden_size": 160, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    }  # fmt: skip
    config = replace(lite.pretrain, total_steps=1000, warmup_steps=40)
    return train(race, lite.vocab_size, shape, config, texts=6000)
