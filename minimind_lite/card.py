"""The page that goes with a saved model: what it is, what it read, what it cannot do.

The idea and most of the headings are those of Mitchell et al., "Model Cards for Model Reporting",
2019. The first lines, between dashes, are read by the Hugging Face hub.
"""

from dataclasses import dataclass

UNKNOWN = "not recorded"
LIMITS = """\
It knows what its data says and nothing else, and says false things in the same even tone as true
ones. No one has looked for bias or for harmful replies. It is for learning how such models work,
not for giving anyone advice."""


@dataclass
class Facts:
    """What a model does not know of itself. What is left out is called not recorded on its card."""

    data: str | None = None  # what it read, in words
    tokens_seen: int | None = None  # targets of the loss, in its last stage of training
    bits_per_byte: float | None = None  # on texts that were held out
    licence: str | None = None  # an SPDX name
    name: str = "A small language model"
    limits: str = LIMITS


def model_card(config, vocab_size: int, parameters: int, facts: Facts) -> str:
    """The text of README.md in a saved directory; config is the model's ModelConfig."""
    header = ["---", "library_name: transformers", "pipeline_tag: text-generation"]
    if facts.licence is not None:
        header.append(f"license: {facts.licence.lower()}")
    unlicensed = f"{UNKNOWN}; whoever publishes the weights must name one, and that of the data has a say"
    rows = {
        "size": f"{parameters:,} parameters",
        "shape": f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}, "
                 f"{config.num_attention_heads} query and {config.num_key_value_heads} key-value heads, "
                 f"at most {config.max_position_embeddings:,} tokens",
        "tokenizer": f"byte-level BPE, {vocab_size:,} tokens",
        "data": facts.data or UNKNOWN,
        "tokens seen": UNKNOWN if facts.tokens_seen is None else
                       f"{facts.tokens_seen:,} targets of the loss, in its last stage of training",
        "bits per byte": UNKNOWN if facts.bits_per_byte is None else
                         f"{facts.bits_per_byte:.3f} on held-out texts",
        "licence": facts.licence or unlicensed,
    }  # fmt: skip
    return "\n".join([
        *header, "---", "", f"# {facts.name}", "",
        "Made with MiniMind Lite, a book that builds a chat model from bytes up. It opens as",
        "`Qwen3ForCausalLM` and `AutoTokenizer` in transformers, without code of its own.", "",
        "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), "",
        "## Limits", "", facts.limits, "",
    ])  # fmt: skip
