"""Those we are measured against, each behind the same few functions.

transformers takes part if it is installed; MiniMind, nanoGPT and minbpe if the folder of a
checkout is named on the command line. Nothing is copied from them: their files are imported from
where they lie.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

OURS = "MiniMind Lite"


def load_file(path: Path) -> ModuleType:
    """Import one file by its path, under a name that nothing else has."""
    spec = importlib.util.spec_from_file_location(f"peer_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Ours:
    """MiniMind Lite: the model and the step that `train` takes."""

    name = OURS
    same_function = True
    decoder = None
    micro_batches = 1  # into how many a step's batch is split

    def build(self, config) -> nn.Module:
        from minimind_lite.model import Transformer

        return Transformer(config)

    def layers(self, model):
        return model.layers

    def logits(self, model, input_ids: Tensor) -> Tensor:
        return model(input_ids)

    def as_batch(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids: [rows, length + 1] -> input_ids and labels, [rows, length] each."""
        return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    def stepper(self, model, batches: Iterator, number_format=torch.float32) -> Callable:
        """A function that takes one optimizer step, on the next of the batches."""
        from minimind_lite.train import TrainConfig, make_optimizers, training_step

        config = TrainConfig(max_lr=1e-5, min_lr=1e-5, warmup_steps=0)
        optimizers = make_optimizers(model, config)

        def step():
            parts = (tensor.chunk(self.micro_batches) for tensor in next(batches))
            return training_step(model, optimizers, list(zip(*parts)), 0, config, number_format)

        return step

    def load(self, model, weights: dict) -> None:
        model.load_state_dict(weights)

    def generate(self, model, prompts: Tensor, count: int) -> list[list[int]]:
        from minimind_lite.decoder import Decoder
        from minimind_lite.generate import generate_batch

        if self.decoder is None or self.decoder.model is not model:
            self.decoder = Decoder(model)  # and kept from one reply to the next, as `chat` does
        return generate_batch(
            model, prompts.tolist(), max_new_tokens=count, temperature=0, decoder=self.decoder
        )


class OursInTwo(Ours):
    """The same step, accumulated over two micro-batches: the same gradient, half of the activations."""

    name = f"{OURS}, two micro-batches"
    micro_batches = 2


def plain_step(model, optimizer, loss_of, batches: Iterator, number_format) -> Callable:
    """The step that their training scripts write out: forward, backward, clip, update."""

    def step():
        input_ids, labels = next(batches)
        with torch.autocast(
            input_ids.device.type, number_format, enabled=number_format == torch.bfloat16
        ):
            loss = loss_of(input_ids, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


class HuggingFaceStyle:
    """What transformers' models and MiniMind's have in common: names, and labels not yet shifted."""

    same_function = True

    def layers(self, model):
        return model.model.layers

    def logits(self, model, input_ids: Tensor) -> Tensor:
        return model(input_ids).logits

    def as_batch(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        input_ids = ids[:, :-1].contiguous()
        return input_ids, input_ids  # they shift the labels themselves: one target a row fewer

    def stepper(self, model, batches: Iterator, number_format=torch.float32) -> Callable:
        def loss(input_ids, labels):
            return model(input_ids=input_ids, labels=labels).loss

        return plain_step(model, self.optimizer(model), loss, batches, number_format)

    def load(self, model, weights: dict) -> None:
        """Our weights, whose names are theirs but for a prefix."""
        theirs = {n if n.startswith("lm_head.") else "model." + n: w for n, w in weights.items()}
        missing, extra = model.load_state_dict(theirs, strict=False)
        if missing or extra:
            raise ValueError(f"{self.name} does not have our weights: {(missing + extra)[0]}.")


class Transformers(HuggingFaceStyle):
    """Qwen3ForCausalLM, with the fused AdamW that its own Trainer takes."""

    name = "transformers"

    def build(self, config) -> nn.Module:
        from transformers import Qwen3Config, Qwen3ForCausalLM

        rope = {"rope_type": "default", "rope_theta": config.rope_theta}
        return Qwen3ForCausalLM(Qwen3Config(**asdict(config), rope_parameters=rope))

    def optimizer(self, model):
        return torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def generate(self, model, prompts: Tensor, count: int) -> list[list[int]]:
        out = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        return out[:, prompts.shape[1] :].tolist()


@dataclass
class MiniMind(HuggingFaceStyle):
    """A checkout of MiniMind, with the AdamW of its training scripts."""

    directory: Path
    name = "MiniMind"

    def module(self) -> ModuleType:
        return load_file(self.directory / "model" / "model_minimind.py")

    def build(self, config) -> nn.Module:
        module = self.module()
        return module.MiniMindForCausalLM(module.MiniMindConfig(**asdict(config)))

    def optimizer(self, model, lr: float = 1e-5):
        return torch.optim.AdamW(model.parameters(), lr=lr)

    def generate(self, model, prompts: Tensor, count: int) -> list[list[int]]:
        out = model.generate(
            prompts,
            max_new_tokens=count,
            do_sample=False,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            eos_token_id=None,
        )
        return out[:, prompts.shape[1] :].tolist()

    def dataset(self, kind: str, path: Path, tokenizer_directory: Path, length: int):
        """Its loader of a JSONL file: "PretrainDataset" or "SFTDataset", over our vocabulary."""
        from transformers import PreTrainedTokenizerFast

        with datasets_or_stand_in():
            loaders = load_file(self.directory / "dataset" / "lm_dataset.py")
        tokenizer = PreTrainedTokenizerFast.from_pretrained(
            tokenizer_directory,
            bos_token="<|im_start|>",
            eos_token="<|im_end|>",
            pad_token="<|endoftext|>",
        )
        return getattr(loaders, kind)(str(path), tokenizer, length)


@contextmanager
def datasets_or_stand_in() -> Iterator[None]:
    """Where the package `datasets` is absent, a JSONL file as a list of rows stands in for it."""
    if importlib.util.find_spec("datasets"):
        yield
        return
    from minimind_lite.corpus import read_jsonl

    module = ModuleType("datasets")
    module.load_dataset = lambda kind, data_files, split, features=None: [
        row for _, row in read_jsonl(data_files)
    ]
    module.Features = module.Sequence = module.Value = lambda *arguments: arguments
    sys.modules["datasets"] = module
    try:
        yield
    finally:
        del sys.modules["datasets"]


@dataclass
class NanoGPT:
    """A checkout of nanoGPT: another function (GPT-2's) of the same width, depth and vocabulary.

    It is shown and does not count for a target. Its `generate` keeps no cache.
    """

    directory: Path
    name = "nanoGPT"
    same_function = False

    def build(self, config) -> nn.Module:
        module = load_file(self.directory / "model.py")
        return module.GPT(
            module.GPTConfig(
                block_size=config.max_position_embeddings,
                vocab_size=config.vocab_size,
                bias=False,
                n_layer=config.num_hidden_layers,
                n_head=config.num_attention_heads,
                n_embd=config.hidden_size,
            )
        )

    def layers(self, model):
        return model.transformer.h

    def as_batch(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    def stepper(self, model, batches: Iterator, number_format=torch.float32) -> Callable:
        optimizer = model.configure_optimizers(
            0.1, 1e-5, (0.9, 0.95), next(model.parameters()).device.type
        )
        return plain_step(
            model, optimizer, lambda ids, labels: model(ids, labels)[1], batches, number_format
        )

    def generate(self, model, prompts: Tensor, count: int) -> list[list[int]]:
        return model.generate(prompts, count, top_k=1)[:, prompts.shape[1] :].tolist()


def random_ids(config, rows: int, length: int) -> Tensor:
    """Ids for a step that costs what any text of this shape costs: [rows, length + 1]."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.randint(
        config.vocab_size, (rows, length + 1), generator=torch.Generator().manual_seed(0)
    ).to(device)
