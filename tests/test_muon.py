"""Our Muon is PyTorch's, bit for bit, whatever the shapes, and their states can be exchanged."""

import pytest
import torch

from minimind_lite.muon import Muon

SHAPES = [(8, 12), (12, 8), (8, 12), (8, 8), (12, 8), (1, 5), (8, 12)]


def problem():
    """Matrices, and an endless supply of gradients for them."""
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]

    def new_gradients(skip=()):
        for index, parameter in enumerate(parameters):
            parameter.grad = None if index in skip else torch.randn(parameter.shape, generator=generator)

    return parameters, new_gradients


@pytest.mark.parametrize("options", [
    {}, {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}, {"nesterov": False, "momentum": 0.8},
    {"adjust_lr_fn": "original", "weight_decay": 0.0, "eps": 1e-3},
])  # fmt: skip
def test_the_same_weights_as_torch_s(options):
    found = []
    for kind in (torch.optim.Muon, Muon):
        parameters, new_gradients = problem()
        optimizer = kind(parameters, lr=0.02, **options)
        for step in range(4):
            new_gradients(skip=(1,) if step == 2 else ())  # one of a group has nothing to learn
            optimizer.step()
        found.append([parameter.detach() for parameter in parameters])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found))


def test_a_state_goes_from_one_to_the_other():
    found = []
    for first, second in ((Muon, torch.optim.Muon), (torch.optim.Muon, Muon)):
        parameters, new_gradients = problem()
        optimizer = first(parameters, lr=0.02)
        new_gradients()
        optimizer.step()
        other = second(parameters, lr=0.02)
        other.load_state_dict(optimizer.state_dict())
        new_gradients()
        other.step()
        found.append([parameter.detach() for parameter in parameters])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found))


def test_it_says_no_to_what_it_cannot_do():
    with pytest.raises(ValueError, match="2D"):
        Muon([torch.nn.Parameter(torch.ones(3))])
