"""Checkpoints: a directory that other tools open, and one that training resumes from.

Both are safetensors and JSON (no pickle, so loading runs no code), and both are written beside
their place and moved there, so that a kill at any instant leaves the old or the new one whole.
"""

from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from minimind_lite.card import Facts, model_card
from minimind_lite.files import read_json, replacing, settle, write_json
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer

# What our forward pass does, spelled out for those who read config.json. A file that says
# something else describes another function, and must be refused rather than half loaded.
FIXED = {
    "model_type": "qwen3",
    "hidden_act": "silu",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "use_sliding_window": False,
    "rope_scaling": None,
}
NOT_WRITTEN = {"partial_rotary_factor": 1.0, "quantization_config": None}
ARCHITECTURES = ["Qwen3ForCausalLM"]


def config_to_json(config: ModelConfig, tokenizer=None) -> dict:
    """Our configuration as Hugging Face's `Qwen3Config` reads it."""
    ends = {} if tokenizer is None else {
        "bos_token_id": tokenizer.end_id,
        "eos_token_id": tokenizer.im_end_id,
        "pad_token_id": tokenizer.pad_id,
    }  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": config.rope_theta}
    return {
        "architectures": ARCHITECTURES, **FIXED, **asdict(config), **ends,
        "rope_parameters": rope, "torch_dtype": "float32",
    }  # fmt: skip


def config_from_json(path: Path) -> ModelConfig:
    """Read config.json. Raises ValueError naming the field that is missing or not implemented."""
    values = read_json(path)
    for name, expected in (FIXED | NOT_WRITTEN).items():
        if values.get(name, expected) != expected:
            raise not_implemented(path, name, values[name], expected)
    rope = values.get("rope_parameters") or {}  # transformers 5; before, rope_theta and rope_scaling
    if rope.get("rope_type", "default") != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise not_implemented(path, "rope_parameters (once rope_scaling)", rope, {"rope_type": "default"})
    for kind in values.get("layer_types") or []:
        if kind != "full_attention":
            raise not_implemented(path, "layer_types", kind, "full_attention")
    if (values.get("architectures") or ARCHITECTURES) != ARCHITECTURES:
        raise not_implemented(path, "architectures", values["architectures"], ARCHITECTURES)
    values["rope_theta"] = rope.get("rope_theta", values.get("rope_theta", 10_000.0))
    names = [field.name for field in fields(ModelConfig)]
    missing = [name for name in names if values.get(name) is None and name != "initializer_range"]
    if missing:  # no defaults: ours are not those of whoever wrote the file
        raise ValueError(f"{path}: {missing[0]} is missing, so the model's shape is not known.")
    return ModelConfig(**{name: values[name] for name in names if name in values})


def not_implemented(path: Path, name: str, found, expected) -> ValueError:
    return ValueError(f"{path}: {name} is {found!r}, but only {expected!r} is implemented here.")


def to_hugging_face(name: str) -> str:
    """Our parameter's name in Qwen3ForCausalLM: all but the output head are under `model.`"""
    return name if name.startswith("lm_head.") else "model." + name


def save_pretrained(
    directory: Path | str, model: Transformer, tokenizer: Tokenizer, facts: Facts | None = None
) -> None:
    """Write a directory that `load_pretrained` and transformers open with no conversion.

    config.json, generation_config.json, model.safetensors, tokenizer.json, tokenizer_config.json,
    and README.md, a model card that says what `facts` know and the model does not know of itself.
    Tied weights are stored once. Raises OSError, leaving what was there, if the disk is full.
    """
    if tokenizer.vocab_size > model.config.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} tokens but the model's vocab_size is "
            f"{model.config.vocab_size}: they do not belong together."
        )
    with replacing(directory) as unfinished:
        tokenizer.save_pretrained(unfinished)
        config = config_to_json(model.config, tokenizer)
        write_json(unfinished / "config.json", config)
        ids = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        ids["eos_token_id"] = [tokenizer.im_end_id, tokenizer.end_id]
        write_json(unfinished / "generation_config.json", ids)
        weights = {to_hugging_face(name): p.detach().contiguous() for name, p in model.named_parameters()}
        save_file(weights, unfinished / "model.safetensors", metadata={"format": "pt"})
        parameters = sum(w.numel() for w in weights.values())
        card = model_card(model.config, tokenizer.vocab_size, parameters, facts or Facts())
        (unfinished / "README.md").write_text(card, encoding="utf-8", newline="\n")


def load_pretrained(directory: Path | str) -> tuple[Transformer, Tokenizer]:
    """Open a directory written by `save_pretrained` or by transformers' Qwen3ForCausalLM.

    Sharded safetensors are read too. Raises FileNotFoundError for a missing file, ValueError for
    a configuration that is not implemented or weights that are missing, extra or misshapen.
    """
    directory = settle(directory)
    tokenizer = Tokenizer.from_pretrained(directory)
    return load_model(directory), tokenizer


def load_model(directory: Path | str) -> Transformer:
    """The model alone; see `load_pretrained`."""
    directory = settle(directory)
    model = Transformer(config_from_json(directory / "config.json"))
    weights = read_weights(directory)
    wanted = {to_hugging_face(name): p for name, p in model.named_parameters()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)  # some writers store the tied weight twice
    different = sorted(wanted.keys() ^ weights.keys())
    if different:
        problem = "is missing" if different[0] in wanted else "does not belong there"
        raise ValueError(f"{directory}: the weight {different[0]} {problem} "
                         f"({len(different)} such weights).")  # fmt: skip
    with torch.no_grad():
        for name, parameter in wanted.items():
            if weights[name].shape != parameter.shape:
                raise ValueError(
                    f"{directory}: {name} has shape {list(weights[name].shape)}, but config.json "
                    f"asks for {list(parameter.shape)}."
                )
            parameter.copy_(weights[name])
    return model.eval()


def read_weights(directory: Path) -> dict[str, Tensor]:
    """All tensors of model.safetensors, or of the shards that its index names."""
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        paths = [directory / name for name in sorted(set(read_json(index).get("weight_map", {}).values()))]
    else:
        paths = [directory / "model.safetensors"]
    weights = {}
    for path in paths:
        weights |= read_tensors(path)
    return weights


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Load a safetensors file, or say in one sentence why it cannot be."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: is this a checkpoint's directory?")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or cut short ({error}): use another copy.") from error
