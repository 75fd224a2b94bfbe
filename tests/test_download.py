"""Downloading the public files: sizes first, one sentence without a network (no test uses one)."""

import os
from types import SimpleNamespace

import huggingface_hub
import pytest

from minimind_lite import __main__ as cli
from minimind_lite import recipe
from minimind_lite.download import download

SIZES = {"pretrain_t2t_mini.jsonl": 1_200_000_000, "sft_t2t_mini.jsonl": 1_600_000_000}


@pytest.fixture
def hub(monkeypatch):
    """A hub that hands out one line a file; `asked` lists the files that were downloaded."""
    asked = []

    def info(self, repository, names, repo_type):
        assert repository == recipe.PUBLIC_REPOSITORY and repo_type == "dataset"
        return [SimpleNamespace(path=name, size=SIZES[name]) for name in names]

    def get(repository, name, repo_type, local_dir):
        asked.append(name)
        (local_dir / name).write_text('{"text": "a"}\n')

    monkeypatch.setattr(huggingface_hub.HfApi, "get_paths_info", info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", get)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10**12))
    return asked


def test_the_sizes_come_first_and_the_files_go_where_the_presets_look(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINIMIND_LITE_RUNS", str(tmp_path))
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "base")
    monkeypatch.setattr("sys.argv", ["minimind_lite", "download"])
    assert cli.main() == 0
    said = capsys.readouterr().out
    assert said.startswith("pretrain_t2t_mini.jsonl  1.20 GB\nsft_t2t_mini.jsonl  1.60 GB\n")
    assert hub == list(SIZES) and all(path.is_file() for path in recipe.corpus_files().values())
    assert cli.main() == 0 and hub == list(SIZES)  # what is there stays


def test_a_disk_that_is_too_small_is_said_before(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2 * 10**9))
    with pytest.raises(ValueError, match="need 2.8 GB and .* has 2.0 GB left"):
        download(tmp_path)
    assert hub == []


class NoNetwork(Exception):
    """As the hub's own HTTP client raises: a class of its own."""


@pytest.mark.parametrize("where", ["sizes", "files"])
def test_without_a_network(hub, tmp_path, monkeypatch, where):
    def fail(*_, **__):
        raise NoNetwork("[Errno -2] Name or service not known")

    monkeypatch.setattr(*((huggingface_hub.HfApi, "get_paths_info", fail) if where == "sizes" else
                          (huggingface_hub, "hf_hub_download", fail)))  # fmt: skip
    with pytest.raises(ConnectionError) as caught:
        download(tmp_path)
    sentence = str(caught.value)
    assert "1.2 GB and 1.6 GB" in sentence and "goes on where it stopped" in sentence and str(tmp_path) in sentence


def test_a_full_disk_is_not_called_a_network(hub, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    with pytest.raises(OSError, match="No space left"):
        download(tmp_path)
