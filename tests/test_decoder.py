"""The fast step: packed weights, and a decoder that is kept. test_generate compares it with the model."""

import pytest
import torch

from minimind_lite import generate as generate_module
from minimind_lite.decoder import Decoder, fingerprint, packs
from minimind_lite.generate import KVCache, generate
from minimind_lite.train import TrainConfig, make_optimizers, training_step
from test_generate import PROMPTS, random_model


@pytest.fixture(scope="module")
def model():
    return random_model(num_key_value_heads=2)


@pytest.mark.parametrize("rows", [1, 16])
def test_packed_weights_give_the_same_logits(rows):
    model = random_model(hidden_size=256, num_key_value_heads=2)
    if torch.backends.mkldnn.is_available():
        assert packs(model.norm.weight)
    caches = [KVCache(model, rows, 8) for _ in range(2)]
    ids = torch.randint(50, (rows, 8))
    with torch.no_grad():
        for cache in caches:
            model(ids[:, :7], cache=cache)
        wanted = model(ids[:, 7:], cache=caches[0])[:, -1]
        assert (Decoder(model)(ids[:, 7:], caches[1]) - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_a_decoder_is_kept_from_one_reply_to_the_next(model):
    decoder = Decoder(model)
    for prompt in PROMPTS:
        wanted = list(generate(model, prompt, max_new_tokens=10, temperature=0))
        assert list(generate(model, prompt, max_new_tokens=10, temperature=0, decoder=decoder)) == wanted


def test_a_decoder_of_another_model_is_refused(model):
    with pytest.raises(ValueError, match="another model"):
        generate(model, PROMPTS[0], max_new_tokens=1, decoder=Decoder(random_model()))


def test_a_decoder_without_the_cache_is_refused(model):
    with pytest.raises(ValueError, match="use_cache"):
        generate(model, PROMPTS[0], max_new_tokens=1, decoder=Decoder(model), use_cache=False)


def one_step(model, optimizer):
    config = TrainConfig(max_lr=0.1, min_lr=0.1, warmup_steps=0, optimizer=optimizer)
    ids = torch.arange(12).view(2, 6)
    training_step(model, make_optimizers(model, config), [(ids, ids, None)], 0, config)


CHANGES = {
    "a step of adamw": lambda model: one_step(model, "adamw"),
    "a step of muon": lambda model: one_step(model, "muon"),
    "weights that were read": lambda model: model.load_state_dict(
        {name: weight + 0.1 for name, weight in model.state_dict().items()}
    ),
    "a write past autograd": lambda model: model.norm.weight.data.mul_(1.5),
    "another format": lambda model: model.double(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_decoder_of_a_model_that_has_changed_is_refused(change):
    """Used, it would go on saying what the model said before."""
    model = random_model(num_key_value_heads=2)
    decoder = Decoder(model)
    list(generate(model, PROMPTS[0], max_new_tokens=3, decoder=decoder))
    CHANGES[change](model)
    with pytest.raises(ValueError, match="has changed"):
        generate(model, PROMPTS[0], max_new_tokens=3, decoder=decoder)
    list(generate(model, PROMPTS[0], max_new_tokens=3, decoder=Decoder(model)))


@pytest.mark.parametrize("name", [name for name, _ in random_model(num_key_value_heads=2).named_parameters()])
def test_one_number_that_changed_is_noticed(name):
    model = random_model(num_key_value_heads=2)
    before = fingerprint(model)
    last = model.get_parameter(name).data.view(-1)[-1:]
    last.copy_(torch.nextafter(last, last + 1))
    assert fingerprint(model) != before


def test_a_kept_decoder_is_the_one_that_is_used(model, monkeypatch):
    decoder = Decoder(model)
    monkeypatch.setattr(generate_module, "Decoder", None)  # nothing to make another one with
    assert len(list(generate(model, PROMPTS[0], max_new_tokens=3, decoder=decoder))) == 3


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_only_float32_is_packed(kind):
    model = random_model(hidden_size=256).to(kind)
    assert not packs(model.norm.weight)
    assert len(list(generate(model, PROMPTS[0], max_new_tokens=3, temperature=0))) == 3
