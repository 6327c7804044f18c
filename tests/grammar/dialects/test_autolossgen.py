"""AutoLossGen's log: both readings, against the rule of the original program written out in NumPy."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.errors import LossError, LossSyntaxError
from lossdsl.grammar.dialects import read
from lossdsl.grammar.printer import show
from lossdsl.lowering import lower
from lossdsl.targets.numpy import evaluate

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = [os.environ.get("LOSSDSL_DATA", ""), str(ROOT.parent / "shared" / "data")]
LOG = next((f for d in FOLDERS if d and (f := Path(d) / "formulas" / "autolossgen-log.txt").is_file()), None)
needs_log = pytest.mark.skipif(
    LOG is None, reason="autolossgen-log.txt: set LOSSDSL_DATA to the folder of the data sets"
)

Pair = tuple[Any, Any]  # value and slope


def sign_and_size(x: Any, eps: float = 1e-6) -> tuple[Any, Any]:
    return np.sign(x), np.abs(x) + eps


def layer(kind: str, inputs: list[Pair]) -> Pair:
    """One operator as the original computes it, before its clamp; slopes by the chain rule."""
    values, slopes = [v for v, _ in inputs], [s for _, s in inputs]
    x, d = values[0], slopes[0]
    if kind == "+":
        return sum(values[1:], x), sum(slopes[1:], d)
    if kind == "*":
        product, slope = np.prod(np.broadcast_arrays(*values), axis=0), 0.0
        for k, dk in enumerate(slopes):
            slope = slope + dk * np.prod(np.broadcast_arrays(*values[:k], *values[k + 1 :], 1.0), axis=0)
        return product, slope
    if kind in ("max", "min"):
        for value, slope in inputs[1:]:
            wins = value > x if kind == "max" else value < x
            x, d = np.where(wins, value, x + 0 * value), np.where(wins, slope, np.where(value == x, (slope + d) / 2, d))
        return x, d
    sign, size = sign_and_size(x)
    return {
        "-": lambda: (-x, -d),
        "Log": lambda: (sign * np.log(size), sign * sign * d / size),
        "Sqrt": lambda: (sign * np.sqrt(size), sign * sign * d / (2 * np.sqrt(size))),
        "^2": lambda: (x**2, 2 * x * d),
        "1/": lambda: (sign / size, -sign * sign * d / size**2),
        "Sigmoid": lambda: (1 / (1 + np.exp(-x)), d / (2 + np.exp(-x) + np.exp(x))),
        "Tanh": lambda: (np.tanh(x), d / np.cosh(x) ** 2),
        "ReLU": lambda: (np.maximum(x, 0), d * (x > 0)),
        "e^": lambda: (np.exp(x), d * np.exp(x)),
        "|": lambda: (np.abs(x), d * np.sign(x)),
    }[kind]()


def printed(kind: str, inputs: list[Pair]) -> Pair:
    """The same operator as the text alone has it."""
    x, d = inputs[0]
    if kind == "Log":
        return np.log(x), d / x
    if kind == "1/":
        return 1 / x, -d / x**2
    if kind == "Sqrt":
        return np.sqrt(x), d / (2 * np.sqrt(x))
    return layer(kind, inputs)


class Transcription:
    """Evaluates a line of the log while reading it, by the shapes that the original's `log_formula` prints."""

    def __init__(self, line: str, pred: Any, label: Any, trained: bool) -> None:
        self.words = re.findall(r"1 /|\^ 2|e \^|[A-Za-z]+|\d+|[-+*(),|]", line)
        zero, one = np.float64(0), np.float64(1)  # a plain 1/0.0 raises
        self.leaves = {"pred": (pred, np.ones_like(pred)), "label": (np.float64(label), zero), "1": (one, zero)}
        self.trained = trained

    def node(self, kind: str, inputs: list[Pair]) -> Pair:
        if not self.trained:
            return printed(kind, inputs)
        x, d = layer(kind, inputs)
        return np.clip(x, 1e-5, 1e5), np.where((x >= 1e-5) & (x <= 1e5), d, 0.0)

    def whole(self) -> Pair:
        result = self.item()
        assert not self.words
        return result

    def item(self) -> Pair:
        word = self.words.pop(0)
        if word in self.leaves:
            return self.leaves[word]
        if word == "|":
            inside = self.item()
            assert self.words.pop(0) == "|"
            return self.node("|", [inside])
        if word != "(":
            assert self.words.pop(0) == "("
            kind = {"1 /": "1/", "e ^": "e^"}.get(word, word)
            return self.node(kind, self.inputs(","))
        inputs = [self.item()]
        operator = self.words[0]
        if operator in "+*":
            while self.words[0] == operator:
                self.words.pop(0)
                inputs.append(self.item())
        assert self.words.pop(0) == ")"
        value = self.node(operator, inputs) if len(inputs) > 1 else inputs[0]
        if self.words and self.words[0] == "^ 2":
            self.words.pop(0)
            return self.node("^2", [value])
        return value

    def inputs(self, separator: str) -> list[Pair]:
        found = [self.item()]
        while self.words[0] == separator:
            self.words.pop(0)
            found.append(self.item())
        assert self.words.pop(0) == ")"
        return found


def agree(line: str, trained: bool) -> None:
    tree = read(line, "autolossgen" if trained else "autolossgen-plain").tree
    pred = np.random.default_rng(5).uniform(0.001, 0.999, 50)
    try:
        program = lower(tree, axis="pred")
    except LossError:  # a constant without value, such as 1/log(1), which nothing but the text as printed can hold
        assert not trained
        with np.errstate(all="ignore"):
            assert not any(
                np.isfinite(Transcription(line, pred, label, False).whole()[0]).any() for label in (0.0, 1.0)
            )
        return
    for label in (0.0, 1.0):
        with np.errstate(all="ignore"):
            value, slope = evaluate(program, pred, np.full(50, label))
            wanted = Transcription(line, pred, label, trained).whole()
        for got, want in ((value, wanted[0]), (slope, wanted[1])):
            got, want = np.broadcast_to(got, 50), np.broadcast_to(want, 50)
            if not trained:  # outside the domain each is free to say nan or inf its own way
                fine = np.isfinite(wanted[0] + 0 * pred) & np.isfinite(want)
                got, want = got[fine], want[fine]
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=f"{line} at label {label}")


def lines() -> list[str]:
    return LOG.read_text().splitlines() if LOG is not None else []


@needs_log
def test_the_log_is_whole() -> None:
    assert len(set(lines())) == 201


@pytest.mark.parametrize("line", lines())
def test_trained_reading_is_what_the_original_trains(line: str) -> None:
    agree(line, trained=True)


@pytest.mark.parametrize("line", lines())
def test_plain_reading_is_what_the_log_prints(line: str) -> None:
    agree(line, trained=False)


LEAVES = st.sampled_from(["pred", "label", "1"])


def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one = st.sampled_from(
        ["- (%s)", "Log (%s)", "1 / (%s)", "(%s) ^ 2", "Sigmoid (%s)", "Tanh (%s)", "Sqrt (%s)", "|%s|"]
    )
    two = st.sampled_from(["(%s + %s)", "(%s * %s)", "max(%s , %s)", "min(%s , %s)"])
    return st.one_of(
        st.tuples(one, inner).map(lambda t: t[0] % t[1]), st.tuples(two, inner, inner).map(lambda t: t[0] % t[1:])
    )


@given(st.recursive(LEAVES, grow, max_leaves=8).filter(lambda t: "||" not in t), st.booleans())
def test_any_graph_of_operators_agrees(line: str, trained: bool) -> None:
    agree(line, trained)


def test_leaves_are_not_clamped_and_operators_are() -> None:
    assert show(read("pred", "autolossgen").tree) == "pred"
    assert show(read("- (pred)", "autolossgen").tree) == "clamp(-pred, 1e-5, 1e5)"
    assert show(read("(label * 1 / (pred))", "autolossgen").tree) == (
        "clamp(label*clamp(pinv(pred), 1e-5, 1e5), 1e-5, 1e5)"
    )


def test_plain_reading_is_the_text() -> None:
    assert show(read("(label * 1 / (pred))", "autolossgen-plain").tree) == "label*(1/pred)"
    assert show(read("e ^ (- (pred))", "autolossgen-plain").tree) == "exp(-pred)"


def test_three_inputs_are_one_operator() -> None:
    assert show(read("(pred + label + 1)", "autolossgen").tree) == "clamp(pred+label+1, 1e-5, 1e5)"


def test_the_trained_reading_says_what_it_assumes() -> None:
    notes = " ".join(read("Log (pred)", "autolossgen").notes)
    assert "as trained" in notes and "no identity node" in notes
    assert read("Log (pred)", "autolossgen-plain").notes == ()


# Each block is a whole message; its second line is the text that earns it.
MISTAKES = """
1:1: LD002 unknown function `Lgo`
  Lgo (pred)
  ^^^
  hint: the log's are Log, Sigmoid, Sqrt, Tanh, ReLU, max, min, 1 / (x), (x) ^ 2, - (x), e ^ (x), |x|

1:7: LD301 AutoLossGen has no subtraction
  (pred - label)
        ^
  hint: write (a + - (b)) for a - b

1:15: LD301 `+` and `*` are mixed without brackets
  (pred + label * 1)
                ^
  hint: the log puts each operation in brackets of its own, as in ((a * b) + c)

1:1: LD301 only 1 can be divided here
  2 / (pred)
  ^
  hint: write a * 1 / (b) for a divided by b

1:1: LD008 `max` takes 2 or more arguments, not 1
  max(pred)
  ^^^
  hint: write max(a , b)

1:5: LD006 `(` is never closed
  Log (pred
      ^
  hint: add `)`

1:7: LD009 `@` does not belong in a formula
  (pred @ 1)
        ^
  hint: multiply with `*`

1:7: LD004 an operand is missing before `)`
  (pred + )
        ^
  hint: `+` needs something on its right

1:6: LD003 the name `prd` has no value
  Log (prd)
       ^^^
  hint: did you mean `pred`?
"""


@pytest.mark.parametrize("message", MISTAKES.strip("\n").split("\n\n"))
def test_mistakes(message: str) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        read(message.splitlines()[1][2:], "autolossgen")
    assert str(caught.value) == message
