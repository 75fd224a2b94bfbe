"""What check cells are made of: calls, comparisons, limits, and the words for what is wrong."""

import itertools
import time

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell

from exercises.checks import (
    TooLong,
    Wrong,
    difference,
    expect,
    limit,
    right,
    run,
    same,
    show,
    show_call,
)


def told(function, *arguments, **named):
    """What a call raises as Wrong; "" if it does not."""
    try:
        function(*arguments, **named)
    except Wrong as wrong:
        return str(wrong)
    return ""


def double(numbers):
    return [2 * number for number in numbers]


def test_run_returns_what_the_function_returns_and_lists_what_it_yields():
    assert run(double, [1, 2]) == [2, 4]
    assert run(lambda n: (i for i in range(n)), 3) == [0, 1, 2]
    assert run(lambda a, b=0: a + b, 1, b=2) == 3


def test_run_names_the_call_that_failed_and_the_line():
    def first(items):
        return items[0]

    assert told(run, first, []).startswith(
        "first([]) failed with IndexError: list index out of range (line "
    )
    assert "return items[0]" in told(run, first, [])

    def stub(x):
        raise NotImplementedError()

    assert "stub is not written yet" in told(run, stub, 1)
    assert told(run, lambda x: None, 1).endswith("returned None: is there a return at its end?")


def test_run_sees_damage_to_the_input():
    def grow(numbers):
        numbers.append(1)
        return numbers

    def fill(tensor):
        return tensor.fill_(7)

    def nested(rows):
        rows["a"][0] = 9
        return rows

    mine = [3]
    assert "grow([3]) changed its input: [3] is now [3, 1]" in told(run, grow, mine)
    assert mine == [3], "the check's own list is safe"
    assert "changed its input" in told(run, fill, torch.zeros(2))
    assert "changed its input" in told(run, nested, {"a": [1]})
    assert "changed its input" in told(run, fill, tensor=torch.zeros(2))


def test_a_loop_without_end_is_stopped_though_it_catches_exceptions():
    def loop(x):
        while True:
            try:
                while True:
                    pass
            except Exception:
                pass

    assert "had not returned after 0.1 seconds" in told(
        run, lambda x: next(x for x in itertools.count() if x < 0), 1, seconds=0.1
    )
    assert "had not returned after 0.1 seconds" in told(run, loop, 1, seconds=0.1)


def test_limits_stand_in_one_another():
    began = time.monotonic()
    with pytest.raises(TooLong, match="0.3"), limit(0.3):
        with limit(60):
            pass
        with pytest.raises(TooLong, match="0.1"), limit(0.1):
            time.sleep(5)
        time.sleep(5)
    assert time.monotonic() - began < 3
    time.sleep(0.01)  # and no alarm is left


@pytest.mark.parametrize("got, wanted, words", [
    (1, 1, ""), (1, 1.0, ""), (True, 1, ""), ((1, 2), [1, 2], ""), (float("inf"), float("inf"), ""),
    (0.1 + 0.2, 0.3, ""), (2, 1, "2 instead of 1"), (1.5, 1, "1.5 instead of 1"), ("a", 1, "a value of type str instead of a value of type int"),
    (None, [1], "None instead of"), ([1, 3], [1, 2], "item 1: 3 instead of 2"), ([1], [1, 2], "1 items instead of 2"),
    ({"a": 1}, {"a": 1, "b": 2}, "key 'b' is missing"), ({"a": 1, "b": 2}, {"a": 1}, "key 'b' is too many"),
    (float("nan"), 1.0, "nan instead of 1"), ("ab", "ac", "'ab' instead of 'ac'"),
    (torch.zeros(2), torch.zeros(3), "the shape is [2] instead of [3]"), ([0.0], torch.zeros(1), "instead of a tensor"),
    (torch.zeros(2), torch.zeros(2).bool(), "its entries are float32 instead of bool"),
    (torch.zeros(2).long(), torch.zeros(2), "its entries are int64 instead of float32"),
    (torch.zeros(2).int(), torch.zeros(2).long(), ""), (torch.zeros(2).double(), torch.zeros(2), ""),
    (torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 2.0]]), "entry [0, 1]: 1 instead of 2; 1 of 2 differ"),
    (torch.tensor([float("nan")]), torch.tensor([1.0]), "entry [0]: nan instead of 1"),
])  # fmt: skip
def test_difference(got, wanted, words):
    found = difference(got, wanted)
    assert found == words if not words else words in found


def test_a_known_mistake_is_named_before_the_general_reason():
    message = told(
        same,
        8.0,
        4.0,
        "f(2)",
        "Twice two.",
        [(8.0, "You doubled twice."), (2.0, "You did nothing.")],
    )
    assert message == "You doubled twice. (8 instead of 4)\n  f(2)\n  gave   8.0\n  wanted 4.0"
    assert told(same, 5.0, 4.0, "f(2)", "Twice two.", [(8.0, "no")]).startswith(
        "Twice two. (5 instead of 4)"
    )
    assert told(same, 4.0, 4.0, "f(2)") == ""
    assert told(expect, False, "because") == "because" and told(expect, True, "because") == ""


def test_values_are_shown_in_a_line():
    assert show(torch.tensor([[1.00004, 2.0]])) == "tensor([[1.0, 2.0]])"
    assert show(torch.zeros(9, 9)) == "a tensor of shape [9, 9]"
    assert (
        show(double) == "double"
        and show(torch.nn.Module) == "<class 'torch.nn.modules.module.Module'>"
    )
    assert len(show("x" * 500)) < 100 and len(show(list(range(500)))) < 150
    assert show_call(double, [1], n=2) == "double([1], n=2)"


def test_a_notebook_shows_the_reason_and_no_traceback(capsys):
    shell = InteractiveShell()
    shell.run_cell(
        "from exercises.checks import Wrong\nraise Wrong('Row 2 should end after three ones.')",
        store_history=False,
    )
    assert capsys.readouterr().out.strip() == "Not yet. Row 2 should end after three ones."
    right("Well done.")
    assert capsys.readouterr().out == "Right. Well done.\n"
