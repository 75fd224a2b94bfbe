"""What our entries share: a loop that counts the budget, not the steps."""

import tempfile
from pathlib import Path

import torch
from tqdm import tqdm

from exercises.speedrun.race import Race
from minimind_lite.data import TokenDataset, Windows, document_samples
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer
from minimind_lite.train import TrainConfig, make_optimizers, training_step


def train(
    race: Race, vocab_size: int, shape: dict, config: TrainConfig, texts: int
) -> tuple[Transformer, Tokenizer]:
    """Train a new model until the budget is spent.

    The learning rate follows the share of the budget that is gone: config.total_steps and
    warmup_steps count thousandths of the budget, whatever a step costs. texts: how many of the
    training texts are used, since the budget is gone long before all are read.
    """
    torch.manual_seed(config.seed)
    tokenizer = Tokenizer.train(race.texts[:texts], vocab_size)
    model = Transformer(ModelConfig(vocab_size=tokenizer.vocab_size, **shape))
    optimizers = make_optimizers(model, config)
    with tempfile.TemporaryDirectory() as folder:
        samples = document_samples(tokenizer, race.texts[:texts], config.sequence_length)
        windows = Windows(
            TokenDataset.write(Path(folder) / "tokens", samples), sequence_length=config.sequence_length,
            micro_batch_size=config.micro_batch_size, seed=config.seed,
        )  # fmt: skip
        step, dearest = 0, 0.0
        with tqdm(total=1000, desc="‰ of the budget", leave=False, disable=None) as progress:
            while race.left > 1.02 * dearest:  # widths of windows differ by a token or two
                before, gone = race.left, int(1000 * (1 - race.left / race.flops))
                training_step(model, optimizers, windows[step], gone, config)
                dearest = max(dearest, before - race.left)
                step += 1
                progress.update(gone - progress.n)
    return model, tokenizer
