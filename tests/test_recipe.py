"""The whole path at a size that takes seconds: found again, made once, named by what it depends on."""

from dataclasses import replace

import pytest

from minimind_lite import corpus, recipe
from minimind_lite.corpus import CorpusConfig
from minimind_lite.data import TokenDataset
from minimind_lite.evaluate import bits_per_byte
from minimind_lite.model import ModelConfig
from minimind_lite.recipe import Preset
from minimind_lite.train import TrainConfig

STEPS = TrainConfig(total_steps=3, warmup_steps=1, sequence_length=128, micro_batch_size=2,
                    number_format="float32")  # fmt: skip
TINY = Preset(
    name="lite", vocab_size=300, threads=1, rehearsal=7,
    model=ModelConfig(vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2),
    pretrain=STEPS, sft=STEPS,
    corpus=CorpusConfig(documents=60, validation_documents=12, conversations=40,
                        validation_conversations=5, preference_pairs=2, items_per_skill=1),
)  # fmt: skip


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMIND_LITE_RUNS", str(tmp_path))
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "lite")
    monkeypatch.setitem(recipe.PRESETS, "lite", TINY)
    return tmp_path


def test_the_chat_model_is_made_once_and_then_found(tiny, monkeypatch):
    made, tokenizer = recipe.chat_model()
    assert made.config.vocab_size == tokenizer.vocab_size == 300

    def again(*_, **__):
        raise AssertionError("trained a second time")

    monkeypatch.setattr(recipe, "fit", again)
    found, _ = recipe.chat_model()
    assert all((a == b).all() for a, b in zip(made.parameters(), found.parameters()))


def test_rehearsal_adds_texts_whose_every_token_is_a_target(tiny):
    recipe.chat_model()
    samples = TokenDataset(recipe.sft_directory() / "tokens")
    whole = [all(flags[1:]) for _, flags in (samples[i] for i in range(len(samples)))]
    first = whole.index(True)  # the texts come after the chats, a long one in several pieces
    assert all(whole[first:]) and len(whole) - first >= TINY.rehearsal and first > 0


def test_a_name_depends_on_what_the_result_depends_on_and_not_on_where_it_is(tiny, monkeypatch):
    before = recipe.pretrain_directory()
    monkeypatch.setenv("MINIMIND_LITE_RUNS", str(tiny / "elsewhere"))
    assert recipe.pretrain_directory().name == before.name
    other = replace(TINY, pretrain=replace(STEPS, max_lr=0.5))
    monkeypatch.setitem(recipe.PRESETS, "lite", other)
    assert recipe.pretrain_directory().name != before.name


@pytest.mark.parametrize("change", [{"rehearsal": 8}, {"sft": replace(STEPS, seed=5)}, {"vocab_size": 310}])
def test_the_chat_model_s_name_depends_on_all_that_makes_it(tiny, monkeypatch, change):
    before = recipe.sft_directory()
    monkeypatch.setitem(recipe.PRESETS, "lite", replace(TINY, **change))
    assert recipe.sft_directory() != before


def test_the_tokenizer_has_read_the_chats(tiny, monkeypatch):
    read = []
    monkeypatch.setattr(recipe.Tokenizer, "train", lambda texts, size: read.extend(texts) or Stop())
    with pytest.raises(StopIteration):
        recipe.tokenizer()
    files = recipe.corpus_files()
    said = [m["content"] for c in corpus.read_conversations(files["sft"]) for m in c]
    assert read == [*corpus.read_texts(files["pretrain"]), *said]


class Stop:
    def save_pretrained(self, directory):
        raise StopIteration


def test_the_score_of_all_kinds_is_the_score_of_their_texts_together(tiny):
    model, tokenizer = recipe.pretrained()
    texts = recipe.held_out_by_kind(recipe.corpus_files()["pretrain_valid"])
    assert set(texts) == set(corpus.KINDS)
    score = recipe.score_by_kind(model, tokenizer, texts)
    every = [text for some in texts.values() for text in some]
    assert score["bits_per_byte"] == pytest.approx(bits_per_byte(model, tokenizer, every), rel=1e-4)


def test_an_unknown_preset_is_named(monkeypatch):
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "huge")
    with pytest.raises(ValueError, match="'huge'.*lite, small, base"):
        recipe.preset()


def test_missing_public_files_come_with_the_command_that_fetches_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMIND_LITE_RUNS", str(tmp_path))
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "small")
    with pytest.raises(FileNotFoundError, match="is missing, about 1.2 GB. Download it with: python -m"):
        recipe.corpus_files()


def test_no_more_threads_than_the_process_may_use(monkeypatch):
    used = []
    monkeypatch.setattr(recipe.torch, "set_num_threads", used.append)
    monkeypatch.setattr(recipe, "usable_cpus", lambda: 1)
    monkeypatch.setenv("MINIMIND_LITE_PRESET", "lite")
    recipe.preset()
    assert used == [1]


def test_chats_that_cannot_be_used_are_left_out_where_the_preset_says_so(tiny, monkeypatch, capsys):
    """MiniMind's public chats have some with tools, for which this model has no format."""
    monkeypatch.setitem(recipe.PRESETS, "lite", replace(TINY, skip_unusable=True))
    with open(recipe.corpus_files()["sft"], "r+", encoding="utf-8") as file:
        lines = file.readlines()
        lines.insert(3, '{"conversations": [{"role": "system", "content": "# Tools", "tools": "[{}]"}]}\n')
        file.seek(0)
        file.writelines(lines)
    recipe.chat_model()
    assert "1 lines of" in (said := capsys.readouterr().err) and "line 4: message 1 has tools" in said
    monkeypatch.setitem(recipe.PRESETS, "lite", replace(TINY, skip_unusable=False, sft=replace(STEPS, seed=1)))
    with pytest.raises(ValueError, match="line 4: message 1 has tools"):
        recipe.chat_model()


def test_among_several_processes_the_first_makes_and_the_others_find(monkeypatch):
    """The order of events in each process; a barrier is where it waits for the other."""
    for main, order in ((True, ["made", "barrier"]), (False, ["barrier", "made"])):
        events = []
        monkeypatch.setattr(recipe.dist, "is_initialized", lambda: True)
        monkeypatch.setattr(recipe, "is_main", lambda: main)
        monkeypatch.setattr(recipe.dist, "barrier", lambda: events.append("barrier"))
        with recipe.first_process_first():
            events.append("made")
        assert events == order
