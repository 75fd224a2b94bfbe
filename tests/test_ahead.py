"""Windows made ahead: the same ones in the same order, never more than one, errors in their turn."""

import threading
from dataclasses import replace

import pytest
import torch
from test_train import CONFIG, dataset, tiny, weights, windows_of  # noqa: F401 (dataset is a fixture)

import minimind_lite.train as train_module
from minimind_lite.ahead import ahead
from minimind_lite.train import train


class Noted:
    """Windows that note which were made, and in which thread."""

    def __init__(self, broken=None):
        self.made, self.threads, self.broken = [], set(), broken

    def __getitem__(self, step):
        self.made.append(step)
        self.threads.add(threading.get_ident())
        if step == self.broken:
            raise ValueError(f"window {step} is broken")
        return [step]


def test_every_window_in_order_and_at_most_one_ahead():
    windows = Noted()
    for step, window in zip(range(3, 9), ahead(windows, range(3, 9)), strict=True):
        assert window == [step] and max(windows.made) <= step + 1
    assert windows.made == list(range(3, 9)) and threading.get_ident() not in windows.threads
    assert list(ahead(Noted(), range(5, 5))) == []


def test_an_error_comes_when_its_window_is_due():
    coming = ahead(Noted(broken=2), range(5))
    assert [next(coming), next(coming)] == [[0], [1]]
    with pytest.raises(ValueError, match="window 2 is broken"):
        next(coming)


def test_it_ends_with_the_loop():
    before = threading.active_count()
    coming = ahead(Noted(), range(1000))
    next(coming)
    coming.close()
    assert threading.active_count() == before


def test_training_ahead_is_bit_identical(dataset, monkeypatch):  # noqa: F811
    """As on a graphics card, but here."""
    config = replace(CONFIG, number_format="float32")
    runs = []
    for in_thread in (False, True):
        monkeypatch.setattr(train_module, "makes_windows_ahead", lambda device: in_thread)
        model = tiny(dtype=torch.float32)
        log = train(model, windows_of(dataset), config, description=None)
        runs.append((weights(model), [entry["loss"] for entry in log]))
    assert torch.equal(runs[0][0], runs[1][0]) and runs[0][1] == runs[1][1]
