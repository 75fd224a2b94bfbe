"""The bench itself, at toy size: what it writes, whom it misses, how it counts. Nothing here is about speed."""

import ast
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import bench  # noqa: E402
import bench_growth  # noqa: E402
import bench_lineup  # noqa: E402
import bench_peers  # noqa: E402
import bench_roofline  # noqa: E402
import bench_text  # noqa: E402
import bench_timing  # noqa: E402
import measure_smaller  # noqa: E402
import speed  # noqa: E402

from minimind_lite import decoder  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of the rows that need no corpus and no other process."""
    folder = tmp_path_factory.mktemp("bench")
    threads = torch.get_num_threads()
    assert (
        bench.main(["--quick", "--only", "step", "merges", "roofline", "--output", str(folder)])
        == 0
    )
    torch.set_num_threads(threads)
    return folder


def read(folder, row):
    return json.loads((folder / f"{row}.json").read_text(encoding="utf-8"))


def test_a_row_is_a_file_that_says_on_what_and_when(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "merges.json",
        "roofline.json",
        "step.json",
    ]
    for row in ("step", "merges", "roofline"):
        entry = read(folder, row)
        assert entry["row"] == row and entry["quick"] is True
        assert set(entry["machine"]) >= {
            "processor",
            "cores",
            "threads",
            "device",
            "date",
            "versions",
        }
        assert entry["machine"]["versions"]["torch"].startswith("2.")


def test_a_line_has_every_round_of_every_competitor(folder):
    line = read(folder, "step")["lines"][0]
    assert set(line["competitors"]) == set(line["ratios"]) | {bench_peers.OURS}
    for one in line["competitors"].values():
        assert one["low"] <= one["median"] <= one["high"] and len(one["values"]) == 2
    for name, ratio in line["ratios"].items():
        ours, theirs = (
            line["competitors"][bench_peers.OURS]["values"],
            line["competitors"][name]["values"],
        )
        assert ratio["values"] == [b / a for a, b in zip(ours, theirs)]
    assert line["ratio"] == line["ratios"][line["best_peer"]]["median"] and line["target"] == 1.15


def test_the_bound_of_a_share_leaves_nothing_but_the_library(folder):
    """The step's arithmetic at the speed of a large product, over what products and attention took."""
    step, share = read(folder, "step")["lines"][:2]
    fastest = share["step_gflop"] / share["matmul_gflops"]
    assert share["bound"][1] == pytest.approx(fastest / step["bound"][1])
    assert share["ratio"] == pytest.approx(fastest / step["competitors"][bench_peers.OURS]["median"])


def test_decoding_is_bound_by_its_products_alone(monkeypatch):
    """Every product of a step once: four in each of two layers, and the head."""
    calls, product = [], decoder.product

    def counted(*linears, **how):
        multiply = product(*linears, **how)
        return lambda x: calls.append(len(x)) or multiply(x)

    monkeypatch.setattr(decoder, "product", counted)
    model = bench_text.Transformer(bench_text.TINY[0])
    monkeypatch.setattr(bench_text, "in_turn", lambda jobs, rounds, said: {"products": [jobs["products"]() or 2.0]})
    assert bench_text.products(model, 16) == 8.0 and calls == [16] * 9


def test_who_is_not_there_is_named(folder, capsys):
    assert read(folder, "step")["lines"][0]["absent"] == {
        "MiniMind": "name a checkout with --minimind FOLDER",
        "nanoGPT": "name a checkout with --nanogpt FOLDER",
    }
    line = read(folder, "merges")["lines"][0]
    assert line["absent"] == {"minbpe": "name a checkout with --minbpe FOLDER"}
    assert line["ratio"] is line["met"] is None and "not measured" in bench.text(line)
    assert "not measured yet: step-best" in bench.table(folder)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        bench.main(["--minimind", str(tmp_path)])
    assert "there is no model/model_minimind.py in it" in capsys.readouterr().err


def test_a_peer_that_fails_costs_only_its_own_column():
    class Broken:
        name = "broken"

    def prepare(peer):
        if peer.name == "broken":
            raise RuntimeError("no such kernel\nand a long trace")
        return 1

    absent = {}
    assert bench_lineup.attempt([bench_peers.Ours(), Broken()], absent, prepare) == {
        bench_peers.OURS: 1
    }
    assert absent == {"broken": "failed here: RuntimeError: no such kernel"}


def test_another_function_is_not_compared():
    """Planted: a peer whose rotary base is another; its logits differ, and the bench must stop."""
    config = bench.bench_train.TINY[0]
    ours, theirs = bench_peers.Ours(), bench_peers.Transformers()
    ids = bench_peers.random_ids(config, 2, 16)
    models = {
        bench_peers.OURS: (ours, ours.build(config)),
        "transformers": (theirs, theirs.build(config).eval()),
    }
    assert bench_lineup.same_weights(models, ids) < 1e-4
    other = replace(config, rope_theta=10.0)
    models["transformers"] = (theirs, theirs.build(other).eval())
    models[bench_peers.OURS][1].layers[0].self_attn.q_proj.weight.data *= 50
    with pytest.raises(ValueError, match="not the same function"):
        bench_lineup.same_weights(models, ids)


def test_two_micro_batches_are_the_same_step():
    config, weights = bench.bench_train.TINY[0], []
    ids = bench_peers.random_ids(config, 4, 16)
    for peer in (bench_peers.Ours(), bench_peers.OursInTwo()):
        torch.manual_seed(0)
        model = peer.build(config).double()
        entry = peer.stepper(model, iter([peer.as_batch(ids)]))()
        assert entry["tokens"] == 4 * 16
        weights.append([parameter.grad.clone() for parameter in model.parameters()])
    for whole, halves in zip(*weights):
        torch.testing.assert_close(halves, whole, rtol=0, atol=1e-12)


def test_jobs_take_turns_and_the_first_turn_is_not_counted():
    order = []
    seconds = bench_timing.in_turn(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3, "turns"
    )
    assert order == ["a", "b"] * 4 and {name: len(some) for name, some in seconds.items()} == {
        "a": 3,
        "b": 3,
    }


def test_the_ratio_is_that_of_the_best_peer_that_counts():
    values = {
        bench_peers.OURS: [1.0, 2.0, 1.0],
        "slow": [3.0, 6.0, 4.0],
        "fast": [1.5, 3.0, 1.5],
        "other": [0.5, 1.0, 0.5],
    }
    line = bench_timing.compare("work", values, 1.5, against=["slow", "fast"])
    assert (
        line["best_peer"] == "fast"
        and line["ratio"] == 1.5
        and line["met"]
        and line["ratios"]["other"]["median"] == 0.5
    )
    assert bench_timing.compare("work", values, 1.6, against=["slow", "fast"])["met"] is False
    rates = {bench_peers.OURS: [6.0], "fast": [3.0]}
    assert (
        bench_timing.compare("work", rates, 2.0, unit="tokens/s", more_is_better=True)["ratio"]
        == 2.0
    )


def test_a_minbpe_that_does_not_finish_gives_a_lower_bound(tmp_path):
    (tmp_path / "minbpe").mkdir()
    (tmp_path / "minbpe" / "__init__.py").write_text("")
    slow = "import time\nclass RegexTokenizer:\n    def __init__(self, pattern): time.sleep(60)\n"
    (tmp_path / "minbpe" / "regex.py").write_text(slow)
    options = bench.parse(["--quick", "--minbpe", str(tmp_path)])
    line = bench.bench_text.merges(options, least_seconds=0.2)[0]
    assert (
        line["lower_bound"] and "minbpe" in line["competitors"] and "at least" in bench.text(line)
    )


def test_slopes_are_exponents():
    assert bench_growth.slope([1, 2, 4, 8], [5, 20, 80, 320]) == pytest.approx(2)
    assert bench_growth.slope([10, 100], [7, 7]) == pytest.approx(0)


def test_the_arithmetic_of_a_step_is_what_torch_counts():
    """torch's counter leaves out attention on a CPU, so a sequence of one token is compared."""
    config = bench.bench_train.TINY[0]
    model = bench_peers.Ours().build(config)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(4, 1, dtype=torch.long)).sum().backward()
    wanted = bench.bench_train.step_flops(config, 4, 1)
    assert 0.99 < counter.get_total_flops() / wanted <= 1
    assert bench.bench_train.step_flops(config, 1, 64) > 64 * wanted / 4


def test_traffic_counts_arithmetic_and_bytes():
    left, right = torch.ones(3, 4), torch.ones(4, 5)
    with bench_roofline.Traffic() as traffic:
        (left @ right).t().neg()
    assert traffic.counted["mm"] == [1, 2 * 3 * 4 * 5, 4 * (12 + 20 + 15)]
    assert traffic.counted["t"] == [1, 0, 0] and traffic.counted["neg"] == [1, 15, 4 * 30]
    with bench_roofline.Traffic() as traffic:
        torch._foreach_mul_([left, right], 2)  # writes in place and returns nothing
    assert traffic.counted["_foreach_mul_"] == [1, 12 + 20, 4 * (12 + 20)]


def test_the_parts_of_a_profile_are_the_whole_step(folder):
    for one in read(folder, "roofline")["profiles"].values():
        assert sum(one["parts"].values()) == pytest.approx(1, abs=0.02)
        assert one["bound"] in one["parts"] and one["kinds"]["matmul"]["flops"] > 0


def test_the_page_is_drawn_from_results_and_says_what_is_missing(folder, tmp_path):
    (tmp_path / "speed.md").write_text(
        (ROOT / "book" / "speed.md").read_text(encoding="utf-8"), encoding="utf-8"
    )
    bench.publish(folder, tmp_path / "bench.json")
    speed.write_page(tmp_path)
    page = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert (
        "training step, tiny, float32" in page
        and "The numbers mean nothing" in page
        and "$" not in page
    )
    assert "MiniMind did not take part everywhere" in page and "`decode`" in page
    assert "`make bench ONLY=growth`" in page and (tmp_path / "speed_roof.png").is_file()


def test_a_missed_target_comes_with_its_limit():
    def line(work, unit, ours, peer, target, bound, ratio):
        competitors = {speed.OURS: {"median": ours}, "peer": {"median": peer}}
        return dict(work=work, unit=unit, competitors=competitors, best_peer="peer", target=target, met=False,
                    bound=bound, ratio=ratio)  # fmt: skip

    step = line("a step", "s", 1.0, 1.1, 1.2, ["products", 0.5], 1.1)
    decode = line("decoding", "tokens/s", 30, 20, 3.0, ["products", 50], 1.5)
    share = dict(work="a part", unit="share", target=0.85, met=False, bound=["products", 0.7], ratio=0.6)
    text = speed.missed([step, decode, share, step | {"work": "met", "met": True}])
    assert "| a step | 1.10 | 1.20 | 2.20 | products: 0.5 s |" in text
    assert "| decoding | 1.50 | 3.00 | 2.50 | products: 50 tokens/s |" in text
    assert "| a part | 60% | 85% | 70% | products |" in text
    memory = line("memory", "MB", 300, 310, 1.43, ["weights", 250], 1.03)
    memory["in_two"] = {"megabytes": 180.4, "times_as_long": 1.021}
    assert "take 180 MB and 1.02 times as long" in speed.missed([memory])
    # 1.1 s / 1.2 - 0.5 s would be left for the rest
    assert "with 0.417 s instead of 0.5 s in *a step*." in text and "decoding (" not in text and "| met |" not in text


def test_a_goal_that_a_smaller_model_misses_is_marked(tmp_path):
    goals = dict.fromkeys(speed.SKILLS, 0.6)

    def model(layers, bits, **correct):
        right = dict.fromkeys(goals, 0.9) | correct
        return {"layers": layers, "hidden_size": 8, "parameters": 1_234_567, "steps": 1000, "time": {"median": 0.5},
                "bits_per_byte": bits, "correct": right}  # fmt: skip

    models = [model(2, 0.31, name=0.59, story=0.596), model(4, 0.3, name=0.6), model(4, 0.27, name=0.95)]
    models[1]["steps"] = 700
    found = {"machine": {"date": "2026-11-28"}, "goals": goals, "models": models}
    (tmp_path / "smaller.json").write_text(json.dumps(found), encoding="utf-8")
    text = speed.smaller(tmp_path)
    assert "| 2 | 8 | 1.2 M | 1,000 | 0.50 | 0.310 | 60% | 90% | 90% | 90% | 59% † |" in text
    assert "| 4 (`lite`) | 8 | 1.2 M | 1,000 | 0.50 | 0.270 | 90% | 90% | 90% | 90% | 95% |" in text
    assert "between 0.270 and 0.310;" in text and "between 59% and 95%. Of the 3 models 1 miss a goal" in text
    assert "From 700 steps to 1,000 `lite` lowers its bits per byte by 10%, and brings" in text


def test_what_the_page_says_of_smaller_models_was_measured():
    chapter = json.loads((ROOT / "chapters/08_supervised_fine_tuning.ipynb").read_text(encoding="utf-8"))
    [cell] = [cell for cell in chapter["cells"] if "goals = {" in "".join(cell["source"])]
    [line] = [line for line in cell["source"] if line.startswith("goals = {")]
    assert ast.literal_eval(line.removeprefix("goals = ")) == measure_smaller.GOALS
    found = json.loads((ROOT / "book/smaller.json").read_text(encoding="utf-8"))
    assert found["goals"] == measure_smaller.GOALS and set(speed.SKILLS) == set(found["goals"])
    models = [(one["layers"], one["hidden_size"], one["steps"]) for one in found["models"]]
    assert models == [
        (p.model.num_hidden_layers, p.model.hidden_size, measure_smaller.steps(p)) for p in measure_smaller.variants()
    ]
    two, *_, fewer_steps, lite = found["models"]
    assert all(
        fewer_steps["correct"][skill] < lite["correct"][skill] for skill in measure_smaller.GOALS
    )
    assert two["bits_per_byte"] < 1.03 * lite["bits_per_byte"]
    assert two["time"]["median"] == min(one["time"]["median"] for one in found["models"])
    missed = [
        sum(speed.misses(one["correct"][skill], goal) for skill, goal in found["goals"].items())
        for one in found["models"]
    ]
    assert missed[0] > 0 == missed[-1]
    for one in found["models"]:
        pairs = zip(one["step"]["values"], lite["step"]["values"])
        share = [one["steps"] / lite["steps"] * ours / lites for ours, lites in pairs]
        assert one["time"]["values"] == pytest.approx(share)


def test_the_page_without_results_says_so(tmp_path):
    (tmp_path / "speed.md").write_text(
        (ROOT / "book" / "speed.md").read_text(encoding="utf-8"), encoding="utf-8"
    )
    speed.write_page(tmp_path)
    page = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert page.count("was not measured for these pages") == 5 and "$" not in page


BOOK = ROOT / "book" / "bench.json"


@pytest.mark.skipif(not BOOK.is_file(), reason="make bench-page writes it")
def test_the_books_results_are_no_toys():
    rows = json.loads(BOOK.read_text(encoding="utf-8"))["rows"]
    assert set(rows) <= set(bench.ROWS) and not any(row["quick"] for row in rows.values())
