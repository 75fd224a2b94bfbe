"""The fast step: packed weights, and a decoder that is kept. test_generate compares it with the model."""

import pytest
import torch

from minimind_lite.decoder import Decoder, packs
from minimind_lite.generate import KVCache, generate
from test_generate import PROMPTS, random_model


@pytest.fixture(scope="module")
def model():
    return random_model(num_key_value_heads=2)


@pytest.mark.parametrize("rows", [1, 16])
def test_packed_weights_give_the_same_logits(rows):
    model = random_model(hidden_size=256, num_key_value_heads=2)
    if torch.backends.mkldnn.is_available():
        assert packs(model.config, model.norm.weight)
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


def test_a_decoder_does_not_follow_training_and_a_new_one_does(model):
    changed = random_model(num_key_value_heads=2)
    old = Decoder(changed)
    with torch.no_grad():
        changed.layers[0].mlp.down_proj.weight.add_(1.0)

    def logits(step):
        with torch.no_grad():
            return step(torch.tensor([[3]]), cache=KVCache(changed, 1, 4)).view(-1)

    assert (logits(old) - logits(changed)).abs().max() > 0.1
    assert (logits(Decoder(changed)) - logits(changed)).abs().max() < 1e-4
