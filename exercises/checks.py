"""What a check cell says: that a solution is right, or the reason why it is not.

A check calls the student's function through `run`, compares with `same` or `expect`, from the
smallest example to the largest, and ends with `right`. Whatever goes wrong becomes one `Wrong`,
which a notebook shows without a traceback and which nbgrader counts as a failed cell.
"""

import copy
import linecache
import reprlib
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS = 5.0  # how long one call of a student's function may take


class Wrong(AssertionError):
    """The reason why a solution is not right yet; Jupyter shows the sentence and nothing else."""

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet. {self}"]


class TooLong(BaseException):
    """A limit on time was reached. Not an Exception: a function that catches those is stopped, too."""


def right(message: str) -> None:
    """The last line of a check cell."""
    print(f"Right. {message}")


def expect(condition, reason: str) -> None:
    """Raise Wrong with the reason unless the condition holds."""
    if not condition:
        raise Wrong(reason)


def run(function: Callable, *arguments, seconds: float = SECONDS, **named):
    """What the student's function returns for these arguments.

    Raises Wrong, with the call that failed, if the function is not written yet, fails, returns
    None, takes too long, or changes its arguments (of plain data it is given a copy).
    """
    call = show_call(function, *arguments, **named)
    given = [own_copy(argument) for argument in arguments]
    given_named = {name: own_copy(value) for name, value in named.items()}
    try:
        with limit(seconds):
            result = function(*given, **given_named)
            if isinstance(result, Iterator):
                result = list(result)  # a generator does its work here, under the same limit
    except NotImplementedError:
        raise Wrong(
            f"{function.__name__} is not written yet.\n  Put your code in place of the two lines "
            "below its docstring, run that cell, then this one."
        ) from None
    except TooLong:
        raise Wrong(
            f"{call} had not returned after {seconds:g} seconds: does its loop end?"
        ) from None
    except Wrong:
        raise
    except Exception as error:
        raise Wrong(
            f"{call} failed with {type(error).__name__}: {error}{where(error, function)}."
        ) from None
    pairs = [*zip(arguments, given), *((named[name], given_named[name]) for name in named)]
    for before, after in pairs:
        if after is not before and difference(after, before):
            raise Wrong(
                f"{call} changed its input: {show(before)} is now {show(after)}. Work on a copy."
            )
    if result is None:
        raise Wrong(f"{call} returned None: is there a return at its end?")
    return result


def own_copy(value):
    """A deep copy of plain data, so that damage to it shows; models, iterators and such as they are."""
    if is_tensor(value):
        return copy.deepcopy(value) if value.is_leaf else value
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(map(own_copy, value))
    if type(value) is dict:
        return {key: own_copy(item) for key, item in value.items()}
    return copy.copy(value) if type(value) in (set, bytearray) else value


def same(got, wanted, call: str, reason: str = "", mistakes=(), tolerance: float = 1e-5) -> None:
    """Raise Wrong unless `got` is `wanted`: numbers within a relative and absolute tolerance.

    call: the example, as `show_call` writes it. reason: why the wanted value is right. mistakes:
    pairs (value, reason); if `got` is the value of a known mistake, its reason is given instead.
    """
    found = difference(got, wanted, tolerance)
    if not found:
        return
    for value, known in mistakes:
        if not difference(got, value, tolerance):
            reason = known
            break
    values = f"\n  {call}\n  gave   {show(got)}\n  wanted {show(wanted)}"
    raise Wrong((f"{reason} " if reason else "") + f"({found}){values}")


def difference(got, wanted, tolerance: float = 1e-5) -> str:
    """The first difference in words, "" if there is none. A list may stand for a tuple.

    >>> difference([1, 2, 4], [1, 2, 3])
    'item 2: 4 instead of 3'
    """
    if is_tensor(wanted) or is_tensor(got):
        return tensor_difference(got, wanted, tolerance)
    if isinstance(wanted, (list, tuple)):
        return sequence_difference(got, wanted, tolerance)
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in [*wanted, *got]:
            if key not in got or key not in wanted:
                return f"key {key!r} is {'missing' if key in wanted else 'too many'}"
            found = difference(got[key], wanted[key], tolerance)
            if found:
                return f"at {key!r}: {found}"
        return ""
    if isinstance(wanted, float) and isinstance(got, (int, float)):
        near = abs(got - wanted) <= tolerance * max(1.0, abs(wanted)) or got == wanted
        return "" if near else f"{got:.6g} instead of {wanted:.6g}"
    if type(got) is not type(wanted) and not (
        isinstance(got, (int, float)) and isinstance(wanted, int)
    ):
        return f"{kind(got)} instead of {kind(wanted)}"
    return "" if got == wanted else f"{show(got)} instead of {show(wanted)}"


def is_tensor(value) -> bool:
    """Without importing torch, which takes a second and which half of the exercises do without."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def tensor_difference(got, wanted, tolerance: float) -> str:
    """`difference` for tensors: kind, shape, sort of number, then the first entry that is off."""
    if not is_tensor(got) or not is_tensor(wanted):
        return f"{kind(got)} instead of {kind(wanted)}"
    if got.shape != wanted.shape:
        return f"the shape is {list(got.shape)} instead of {list(wanted.shape)}"
    torch = sys.modules["torch"]
    sorts = [(tensor.is_floating_point(), tensor.dtype == torch.bool) for tensor in (got, wanted)]
    if sorts[0] != sorts[1]:
        return f"its entries are {got.dtype} instead of {wanted.dtype}".replace("torch.", "")
    near = {"rtol": tolerance, "atol": tolerance, "equal_nan": True}
    off = ~torch.isclose(got.detach().double(), wanted.detach().double(), **near)
    if not off.any():
        return ""
    place = off.nonzero()[0].tolist()
    values = f"{got[tuple(place)].item():.6g} instead of {wanted[tuple(place)].item():.6g}"
    return f"entry {place}: {values}; {int(off.sum())} of {off.numel()} differ"


def sequence_difference(got, wanted, tolerance: float) -> str:
    """`difference` for lists and tuples: the first item that differs, then the length."""
    if not isinstance(got, (list, tuple)):
        return f"{kind(got)} instead of {kind(wanted)}"
    for index, (left, right_) in enumerate(zip(got, wanted)):
        found = difference(left, right_, tolerance)
        if found:
            return f"item {index}: {found}"
    return "" if len(got) == len(wanted) else f"{len(got)} items instead of {len(wanted)}"


def kind(value) -> str:
    """What a value is, in the words of a message."""
    if is_tensor(value):
        return f"a tensor of shape {list(value.shape)}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def show(value) -> str:
    """A value in one short line: small tensors as lists, long things cut in the middle."""
    if is_tensor(value):
        if value.numel() > 40:
            return f"a tensor of shape {list(value.shape)}"
        value = value.detach()
        value = (
            (value.double().mul(1e4).round() / 1e4).tolist()
            if value.is_floating_point()
            else value.tolist()
        )
        return f"tensor({value})"
    if " at 0x" in repr(value):  # no words of its own
        return getattr(value, "__name__", type(value).__name__)
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = 24
    short.maxdict, short.maxstring, short.maxother = 12, 90, 90
    return short.repr(value)


def show_call(function: Callable, *arguments, **named) -> str:
    """A call as one would write it.

    >>> show_call(max, [1, 2], default=0)
    'max([1, 2], default=0)'
    """
    shown = [show(a) for a in arguments] + [
        f"{name}={show(value)}" for name, value in named.items()
    ]
    return f"{function.__name__}({', '.join(shown)})"


def where(error: Exception, function: Callable) -> str:
    """The line of the student's own code at which an error arose, for a message."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not own:
        return ""
    line = linecache.getline(file, own[-1].lineno).strip()
    return f" (line {own[-1].lineno} of its cell{f': {line}' if line else ''})"


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TooLong in the block once it has taken so long; it may stand in another one.

    Needs Unix signals and the main thread; elsewhere the block takes as long as it takes.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def stop(*_):
        raise TooLong(f"stopped after {seconds:g} seconds")

    began = time.monotonic()
    outer = signal.signal(signal.SIGALRM, stop)
    # It comes again every second, since the first one may be lost in a callback of C code.
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer)
        if remaining:
            left = max(remaining - (time.monotonic() - began), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, interval)
