"""What we save opens in transformers, and what transformers saves opens here: same numbers, same text."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM, pipeline

from minimind_lite.checkpoint import load_model, load_pretrained, save_pretrained
from minimind_lite.generate import generate
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.tokenizer import Tokenizer

TINY = dict(vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=8, max_position_embeddings=64)  # fmt: skip
SHAPES = {
    "heads 2:1": {},
    "heads 1:1": dict(num_key_value_heads=4),
    "heads 4:1": dict(num_key_value_heads=1),
    "one head": dict(num_attention_heads=1, num_key_value_heads=1),
    "wide heads": dict(head_dim=20),
    "narrow heads": dict(head_dim=2),
    "untied": dict(tie_word_embeddings=False),
    "one layer": dict(num_hidden_layers=1),
    "five layers": dict(num_hidden_layers=5),
    "short theta": dict(rope_theta=1e4),
    "large eps": dict(rms_norm_eps=1e-2),
    "padded vocabulary": dict(vocab_size=384),
    "odd widths": dict(hidden_size=36, intermediate_size=50, num_attention_heads=6, num_key_value_heads=3),
    "few positions": dict(max_position_embeddings=40),
}


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = Tokenizer.train(["The fox had a red kite. 狐狸有一只红风筝。"] * 3, 300)
    assert tokenizer.vocab_size <= TINY["vocab_size"]
    return tokenizer


def stir(model):
    """Random norms and larger weights: what is all alike would hide a permutation."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def ours(**changes) -> Transformer:
    torch.manual_seed(0)
    return stir(Transformer(ModelConfig(**(TINY | changes))))


def theirs(**changes) -> Qwen3ForCausalLM:
    torch.manual_seed(1)
    values = TINY | dict(tie_word_embeddings=True, rope_theta=1e6) | changes
    rope = {"rope_type": "default", "rope_theta": values.pop("rope_theta")}
    return stir(Qwen3ForCausalLM(Qwen3Config(**values, rope_parameters=rope)))


def largest_difference(mine, other):
    ids = torch.randint(250, (2, 15), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = mine(ids)
        assert logits.std() > 0.1  # equal because right, not because nothing happens
        return (other(ids).logits - logits).abs().max()


@pytest.mark.parametrize("name", SHAPES)
def test_transformers_opens_what_we_save(name, tokenizer, tmp_path):
    model = ours(**SHAPES[name])
    save_pretrained(tmp_path, model, tokenizer)
    other, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(other, Qwen3ForCausalLM) and not any(report.values())
    assert largest_difference(model, other) < 1e-4
    text = "The fox had 狐狸"
    assert AutoTokenizer.from_pretrained(tmp_path)(text).input_ids == tokenizer.encode(text)
    prompt = torch.tensor([tokenizer.encode(text)])
    found = other.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False,
                           eos_token_id=None, pad_token_id=0)  # fmt: skip
    assert found[0, prompt.shape[1] :].tolist() == list(generate(model, prompt, max_new_tokens=20, temperature=0))


@pytest.mark.parametrize("name", SHAPES)
def test_we_open_what_transformers_saves(name, tokenizer, tmp_path):
    other = theirs(**SHAPES[name])
    other.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, same = load_pretrained(tmp_path)
    assert largest_difference(model, other) < 1e-4
    assert same.encode("fox 狐狸") == tokenizer.encode("fox 狐狸")


@pytest.mark.parametrize("name", ["heads 2:1", "untied"])
def test_sharded_weights_are_read(name, tokenizer, tmp_path):
    other = theirs(**SHAPES[name])
    other.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    model = load_model(tmp_path)
    assert largest_difference(model, other) < 1e-4
    next(tmp_path.glob("*-00002-of-*.safetensors")).unlink()
    with pytest.raises(FileNotFoundError, match="00002-of"):
        load_model(tmp_path)


def test_an_index_without_a_map_is_named(tokenizer, tmp_path):
    save_pretrained(tmp_path / "m", ours(), tokenizer)
    (tmp_path / "m" / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ValueError, match="is missing"):
        load_model(tmp_path / "m")


def test_weights_in_bfloat16_are_read(tokenizer, tmp_path):
    theirs().bfloat16().save_pretrained(tmp_path)
    other = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    model = load_model(tmp_path)
    assert model.norm.weight.dtype == torch.float32
    assert largest_difference(model, other) < 1e-4


def test_a_tied_weight_that_is_stored_twice_is_read(tokenizer, tmp_path):
    from safetensors.torch import save_file

    save_pretrained(tmp_path / "m", ours(), tokenizer)
    path = tmp_path / "m" / "model.safetensors"
    weights = load_file(path)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, path)
    assert torch.equal(load_model(tmp_path / "m").lm_head.weight, weights["lm_head.weight"])


def test_the_pipeline_of_transformers_writes_the_same_text(tokenizer, tmp_path):
    model = ours()
    save_pretrained(tmp_path / "m", model, tokenizer)
    write = pipeline("text-generation", model=str(tmp_path / "m"), device="cpu")
    text = write("The fox", max_new_tokens=12, do_sample=False, return_full_text=False)[0]["generated_text"]
    ids = list(generate(model, tokenizer.encode("The fox"), max_new_tokens=12, temperature=0))
    end = [i for i, index in enumerate(ids) if index in (tokenizer.im_end_id, tokenizer.end_id)]
    assert text == tokenizer.decode(ids[: end[0]] if end else ids)


def test_the_chat_template_travels_with_the_model(tokenizer, tmp_path):
    save_pretrained(tmp_path / "m", ours(), tokenizer)
    chat = [{"role": "user", "content": "The fox?"}]
    found = AutoTokenizer.from_pretrained(tmp_path / "m").apply_chat_template(chat, add_generation_prompt=True)
    assert list(found["input_ids"]) == tokenizer.encode_chat(chat, add_generation_prompt=True)[0]


def first_logits(other, prompt, **options):
    found = other.generate(prompt, max_new_tokens=1, do_sample=False, output_logits=True,
                           return_dict_in_generate=True, **options)  # fmt: skip
    return found.logits[0][0]


def test_a_mask_made_from_the_pad_id_is_found(tokenizer, tmp_path):
    """transformers, given no mask, masks what equals the pad id, unless that is also an end id."""
    model = ours()
    save_pretrained(tmp_path / "m", model, tokenizer)
    other = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    prompt = torch.tensor([[0, 40, 50, 0, 60, 70]])
    with torch.no_grad():
        right = model(prompt)[0, -1]
    ones = torch.ones_like(prompt)
    end = dict(eos_token_id=tokenizer.im_end_id)
    assert (first_logits(other, prompt) - right).abs().max() < 1e-4  # the saved ends protect us
    assert (first_logits(other, prompt, attention_mask=ones, **end) - right).abs().max() < 1e-4
    assert (first_logits(other, prompt, **end) - right).abs().max() > 0.1


def test_an_export_without_the_query_and_key_norms_is_found(tokenizer, tmp_path):
    """The same file under Llama's name: it opens, and it is another function."""
    model = ours()
    save_pretrained(tmp_path / "m", model, tokenizer)
    path = tmp_path / "m" / "config.json"
    llama = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    path.write_text(json.dumps(json.loads(path.read_text()) | llama))
    other, report = AutoModelForCausalLM.from_pretrained(tmp_path / "m", output_loading_info=True)
    assert largest_difference(model, other) > 0.1
    assert len(report["unexpected_keys"]) == 2 * model.config.num_hidden_layers
    with pytest.raises(ValueError, match="config.json: model_type is 'llama'"):
        load_pretrained(tmp_path / "m")


@pytest.mark.parametrize(
    "field, value",
    [
        ("use_sliding_window", True),
        ("layer_types", ["full_attention", "sliding_attention"]),
        ("attention_bias", True),
        ("attention_dropout", 0.1),
        ("hidden_act", "gelu"),
        ("model_type", "llama"),
        ("architectures", ["Qwen3ForSequenceClassification"]),
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
        ("rope_parameters", {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6}),
        ("rope_parameters", {"rope_type": "default", "partial_rotary_factor": 0.5, "rope_theta": 1e6}),
        ("partial_rotary_factor", 0.5),
        ("quantization_config", {"quant_method": "gptq"}),
        ("head_dim", None),
        ("num_key_value_heads", None),
        ("tie_word_embeddings", None),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(tokenizer, tmp_path, field, value):
    save_pretrained(tmp_path / "m", ours(), tokenizer)
    path = tmp_path / "m" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ValueError, match=f"config.json: {field} "):
        load_pretrained(tmp_path / "m")


def test_the_newer_place_of_theta_wins_as_in_transformers(tokenizer, tmp_path):
    save_pretrained(tmp_path / "m", ours(), tokenizer)
    path = tmp_path / "m" / "config.json"
    values = json.loads(path.read_text())
    values["rope_parameters"]["rope_theta"] = 1e3
    path.write_text(json.dumps(values))
    other = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    assert largest_difference(load_model(tmp_path / "m"), other) < 1e-4
    del values["rope_parameters"]  # as transformers 4 wrote it
    path.write_text(json.dumps(values))
    assert load_model(tmp_path / "m").config.rope_theta == 1e6
