"""Our optimizers are PyTorch's, bit for bit, whatever the shapes, and their states can be exchanged."""

import subprocess
import sys

import pytest
import torch

from minimind_lite.optimizers import AdamW, Muon

SHAPES = [(8, 12), (12, 8), (8, 12), (8, 8), (12, 8), (1, 5), (8, 12)]


def problem():
    """Matrices, and an endless supply of gradients for them."""
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]

    def new_gradients(skip=()):
        for index, parameter in enumerate(parameters):
            parameter.grad = None if index in skip else torch.randn(parameter.shape, generator=generator)

    return parameters, new_gradients


@pytest.mark.parametrize("ours, theirs, options", [
    (Muon, torch.optim.Muon, {}),
    (Muon, torch.optim.Muon, {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}),
    (Muon, torch.optim.Muon, {"nesterov": False, "momentum": 0.8}),
    (Muon, torch.optim.Muon, {"adjust_lr_fn": "original", "weight_decay": 0.0, "eps": 1e-3}),
    (AdamW, torch.optim.AdamW, {}),
    (AdamW, torch.optim.AdamW, {"fused": True, "betas": (0.9, 0.95), "weight_decay": 0.1}),
])  # fmt: skip
def test_the_same_weights_as_torch_s(ours, theirs, options):
    found = []
    for kind in (theirs, ours):
        parameters, new_gradients = problem()
        optimizer = kind(parameters, lr=0.02, **options)
        for step in range(4):
            new_gradients(skip=(1,) if step == 2 else ())  # one of a group has nothing to learn
            optimizer.step()
        found.append([parameter.detach() for parameter in parameters])
    assert all(torch.equal(one, other) for one, other in zip(*found))


@pytest.mark.parametrize("ours, theirs", [(Muon, torch.optim.Muon), (AdamW, torch.optim.AdamW)])
def test_a_state_goes_from_one_to_the_other(ours, theirs):
    found = []
    for first, second in ((ours, theirs), (theirs, ours)):
        parameters, new_gradients = problem()
        optimizer = first(parameters, lr=0.02)
        new_gradients()
        optimizer.step()
        other = second(parameters, lr=0.02)
        other.load_state_dict(optimizer.state_dict())
        new_gradients()
        other.step()
        found.append([parameter.detach() for parameter in parameters])
    assert all(torch.equal(one, other) for one, other in zip(*found))


def test_it_says_no_to_what_it_cannot_do():
    with pytest.raises(ValueError, match="2D"):
        Muon([torch.nn.Parameter(torch.ones(3))])


TRAINS_AND_RESUMES = """
import sys, torch
from minimind_lite.model import ModelConfig, Transformer
from minimind_lite.train import TrainConfig, train
model = Transformer(ModelConfig(vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
ids = torch.arange(8).view(2, 4)
config = TrainConfig(optimizer="muon", number_format="float32", total_steps=2, save_every=1)
def stop(entry):
    raise KeyboardInterrupt
for on_step in (stop, None):  # the second run goes on from the first one's state
    try:
        log = train(model, [[(ids, ids + 1)]] * 2, config, sys.argv[1], description=None, on_step=on_step)
    except KeyboardInterrupt:
        pass
print(len(log), "torch._dynamo" in sys.modules)
"""


def test_training_does_not_load_the_compiler(tmp_path):
    # it takes a second, at every start
    done = subprocess.run(
        [sys.executable, "-c", TRAINS_AND_RESUMES, tmp_path], capture_output=True, text=True
    )
    assert done.stdout.split() == ["2", "False"], done.stderr
