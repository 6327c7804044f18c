"""Python code: what is read, what is refused, and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lossdsl
from lossdsl.errors import LossSyntaxError
from lossdsl.grammar.dialects import read
from lossdsl.grammar.printer import show

READ = {
    # functions of all libraries, methods, keywords
    "torch.log(input=pred)": "log(pred)",
    "tf.math.log(p) + np.log(p) + K.log(p) + jnp.log(p) + math.log(p) + log(p)": (
        "log(pred) + log(pred) + log(pred) + log(pred) + log(pred) + log(pred)"
    ),
    "pred.log().neg().abs().sqrt()": "sqrt(abs(-log(pred)))",
    "pred.clamp_(0.1, 0.9)": "clamp(pred, 0.1, 0.9)",
    "torch.clamp(pred, max=0.9)": "min(pred, 0.9)",
    "np.clip(p, a_min=0.1, a_max=0.9)": "clamp(pred, 0.1, 0.9)",
    "tf.clip_by_value(p, 1e-7, 1 - 1e-7)": "clamp(pred, 1e-7, 1-1e-7)",
    "torch.max(pred, label) + max(p, y) + pred.max(label)": "max(pred, label) + max(pred, label) + max(pred, label)",
    "x.where(y == 1, 2) where x = 3": "if(label >= 1, x, 2) where x = 3",
    "torch.where(label.bool(), pred, 1 - pred)": "if(label > 0, pred, 1-pred)",
    "torch.where(label.ne(1), pred, 1 - pred)": "if(label < 1, pred, 1-pred)",
    "torch.where(0 == y, pred, 1 - pred)": "if(label <= 0, pred, 1-pred)",
    "nn.Softplus(beta=2)(score)": "softplus(2*score)/2",
    "torch.logaddexp(torch.zeros_like(logits), -logits)": "softplus(-score)",
    "F.leaky_relu(score, 0.01)": "max(0, score) + 0.01*min(0, score)",
    "torch.cosh(p)": "(exp(pred) + exp(-pred))/2",
    "special.xlogy(y, p)": "label*log(pred)",
    "torch.rsqrt(p)": "1/sqrt(pred)",
    "torch.log2(p)": "log(pred)/log(2)",
    "math.e ** -score": "exp(-score)",
    "F.huber_loss(p, y, 'none', 0.5)": (
        "if(abs(pred-label) <= 0.5, 0.5*(pred-label)^2, 0.5*(abs(pred-label) - 0.5*0.5))"
    ),
    "F.binary_cross_entropy_with_logits(logits, y, weight=w, reduction='none') where w = 2": (
        "w*(-(label*logsigmoid(score) + (1-label)*logsigmoid(-score))) where w = 2"
    ),
    # Python's own precedence and numbers, exact
    "-p ** 2": "-pred^2",
    "2 ** -p ** 2": "2^(-pred^2)",
    "p - -y": "pred - (-label)",
    "1_000.5e-3 * p": "1.0005*pred",
    "0.1 + 1e-10 + 1. + .5 + p": "0.1 + 1e-10 + 1 + 0.5 + pred",
    "p if y > 0.5 else 1 - p if s > 0 else 0": "if(label > 0.5, pred, if(score > 0, 1-pred, 0))",
    "(p > 0.5) * p + (p <= 0.5).float()": "if(pred > 0.5, 1, 0)*pred + if(pred <= 0.5, 1, 0)",
    # what does not change a number
    "label.float().view(-1) * tf.cast(p, tf.float32).squeeze(dim=1)": "label*pred",
    "torch.full_like(p, 0.5) + torch.ones_like(p)": "0.5 + 1",
    # statements
    "loss = p": "pred",
    "import torch\nfrom torch import nn\nreturn p": "pred",
    "def loss(y_true, y_pred, gamma=2):\n    d = y_true - y_pred\n    return d * d": "(label-pred)*(label-pred)",
    '@torch.jit.script\ndef f(p):\n    """Says\n    much."""\n    # more\n    return p': "pred",
    "bce = lambda p, y: -y*log(p)": "-label*log(pred)",
    "tf.keras.losses.mean_squared_error(y_true, y_pred)": "(label-pred)^2",
    "lambda p, y: abs(p - y)": "abs(pred-label)",
    "y = 2*y - 1; (1 - y*s)**2": "(1 - (2*label-1)*score)^2",
    "d = p - y\nd **= 2\nd /= 2\nreturn d": "(pred-label)^2/2",
    "criterion = nn.MSELoss()\nloss = criterion(p, y)": "(pred-label)^2",
    "self.w = 2\nself.w * p": "2*pred",
    # reductions around the whole
    "-0.5 * torch.mean(p) / 2": "-0.5*pred/2",
    "p.sum(dim=1).mean() + 0.1 * y.mean()": "pred + 0.1*label",
    "K.mean(p, axis=-1) + 1": "pred + 1",
    # pairs
    "pos_score - neg_score": "score",
    "neg - pos": "-score",
    "1 - pos + neg": "1 - score",
    "-pos_logits + (2 + neg_logits)": "2 - score",
    "s_i - s_j": "score",
    "positive_scores - negative_scores": "score",
    "(pos - neg) * (pos - neg)": "score*score",
    "pos - neg where pos = 1, neg = 2": "pos - neg where pos = 1, neg = 2",
    "def f(p, y, gamma: float = 2.0, a=1):\n    return a*(1 - p)**gamma": "1*(1-pred)^2",
    "def f(p, y, gamma=2.0):\n    return (1 - p)**gamma\nwhere gamma = 3": "(1-pred)^gamma where gamma = 3",
    "lambda p, pred=1, k=-1, j=2*3: p": "pred",
    "def lp(pred, label, p=2):\n    return torch.abs(pred - label)**p": "abs(pred-label)^2",
    "def f(pred, label, s=30.0):\n    return s*torch.square(pred - label)": "30*square(pred-label)",
    "def hinge(s, y=1):\n    return torch.relu(1 - y*s)": "relu(1-label*score)",
    # what belongs to self is another thing than what has the same name here
    "w = y*self.w + 1\nw*p + self.w where w = 2": "(label*w+1)*pred + w where w = 2",
    "self.w = 3\nw = 2\nself.w*p + w": "3*pred + 2",
    # axes, and numbers to compare with
    "p.sum(1, True).mean()": "pred",
    "torch.mean(p, dim=1, keepdim=True)": "pred",
    "p.mean(-1, True, torch.float32)": "pred",
    "np.mean(p, None, np.float32)": "pred",
    "torch.mean(p, self.dim)": "pred",
    "tf.reduce_mean(p, keep_dims=True)": "pred",
    "tf.reduce_sum(p, reduction_indices=0)": "pred",
    "torch.max(1-s, torch.zeros_like(s))": "max(1-score, 0)",
    "torch.max(1-s, torch.tensor(0))": "max(1-score, 0)",
    "(1-s).max(torch.tensor(0.))": "max(1-score, 0)",
    "max(1-s, 0)": "max(1-score, 0)",
    # what code says of itself
    "-(y*torch.log(p)).mean()  # where y is the label": "-(label*log(pred))",
    'def f(p, y):\n    """Focal, where p is the prediction."""\n    return p - y': "pred - label",
    'def f(p, y):\n    r"""Focal."""\n    return p - y': "pred - label",
    "def f(p, y):\n    'where nothing is'\n    return p - y": "pred - label",
    "K.binary_crossentropy(y, p, from_logits=False)": "-(label*log(pred) + (1-label)*log(1-pred))",
    "y.to(torch.long)*tf.cast(p, tf.float32)": "label*pred",
    "torch.where(y != 0, p, 1-p)": "if(label > 0, pred, 1-pred)",
    "-F.logsigmoid(2*(chosen_rewards - rejected_rewards)).mean()": "-logsigmoid(2*score)",
    "-torch.log(torch.exp(pos/0.1)/(torch.exp(neg/0.1) + torch.exp(pos/0.1))).mean()": "-log(sigmoid(score/0.1))",
}


@pytest.mark.parametrize("text", READ)
def test_is_read(text: str) -> None:
    assert show(read(text, "python").tree) == READ[text]


def test_whole_numbers_are_exact() -> None:
    assert read("0.1 * p", "python").tree == lossdsl.parse("0.1*pred").tree


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("p.mean()", "the mean over the batch is dropped: a formula is the loss of one prediction"),
        ("loss = p", "`loss =` is dropped"),
        ("pos_score - neg_score", "pos_score - neg_score is read as score, the loss as pairwise"),
        ("torch.where(y == 1, p, 0)", "label == 1 is read by label >= 1"),
        ("torch.where(y != 0, p, 0)", "label != 0 is read by label > 0"),
        ("torch.where(y.ne(1), p, 0)", "label != 1 is read by label < 1"),
        ("F.softplus(-pred)", "pred is read as a probability here; if yours is a logit, call it score"),
        ("torch.log(1+torch.exp(-y_pred))", "pred is read as a probability here; if yours is a logit, call it score"),
        ("torch.sigmoid(y_pred)", "`y_pred` is read as a probability here; if yours is a logit, call it score"),
        ("def f(p, y, g: float = 2.0, a=1):\n    return p**g", "`g = 2.0` is taken from the arguments"),
        ("p + K.epsilon()", "epsilon() is read as Keras's default, 1e-7"),
    ],
)
def test_says_what_it_made_of_it(text: str, note: str) -> None:
    assert note in read(text, "python").notes


DROPPED_ONCE = {
    "np.average((y-p)**2, weights=1+9*y)": "a mean of `weights` has no meaning in a formula",
    "np.average((y-p)**2, 0, 1+9*y)": "a mean of more than one number has no meaning in a formula",
    "sum(p, y)": "a sum of more than one number has no meaning in a formula",
    "np.mean((y-p)**2, where=y>0)": "a mean of `where` has no meaning in a formula",
    "F.relu((1 - s).max(1))": "the number of `max` is an axis there",
    "np.max(1 - s, 0)": "the number of `max` is an axis there",
    "torch.min(p, -1)": "the number of `min` is an axis there",
    "torch.abs(pred - y)**self.p": "what `self.p` is, is not clear",
    "torch.abs(pred - y)**p": "whether the power `p` is the prediction is not clear",
    "K.binary_crossentropy(y, p, from_logits=self.logits)": "`from_logits` has to be True or False here",
    "p.to(torch.long) - y": "`to` would round what is no label",
    "tf.cast(p, tf.int32) - y": "`cast` would round what is no label",
    "np.array(p, dtype=int) - y": "`array` would round what is no label",
}


@pytest.mark.parametrize("text", DROPPED_ONCE)
def test_what_changes_the_meaning_is_not_dropped(text: str) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        read(text, "python")
    assert caught.value.message == DROPPED_ONCE[text]


def test_a_difference_of_two_scores_is_pairwise_and_nothing_else_is() -> None:
    assert read("F.softplus(neg_score - pos_score)", "python").pairwise
    assert not read("F.softplus(-score)", "python").pairwise


# Each block is a whole message; its second line is the text that earns it.
MISTAKES = r"""
1:11: LD006 `(` is never closed
  -torch.log(pred
            ^
  hint: add `)`

1:17: LD007 `)` closes nothing
  -torch.log(pred))
                  ^
  hint: take it away, or open a bracket before

1:5: LD007 `(` is closed by `]`
  (1-p]
      ^
  hint: close it with `)`

1:7: LD008 `log` takes 1 argument, not 2
  torch.log(pred, label)
        ^^^
  hint: write `log(x)`

1:7: LD008 `clamp` has no argument `mni`
  torch.clamp(pred, min=0, mni=1)
        ^^^^^
  hint: it has x, min, max

1:7: LD008 `max` takes 2 arguments, not 1
  torch.max(pred)
        ^^^
  hint: over a batch it has no meaning in a formula

1:7: LD002 unknown function `atan`
  torch.atan(pred)
        ^^^^
  hint: there are no trigonometric functions; `lossdsl explain LD002` lists the functions

1:7: LD002 unknown function `lgo`
  torch.lgo(pred)
        ^^^
  hint: did you mean `log`?

1:1: LD002 unknown function `__import__`
  __import__('os').system('x')
  ^^^^^^^^^^
  hint: `lossdsl explain LD002` lists the functions

1:13: LD304 a condition is needed here
  torch.where(pred, 1, 2)
              ^^^^
  hint: such as label == 1 or pred > 0.5

1:18: LD304 `==` cannot be a condition here
  torch.where(pred == 0.5, 1, 2)
                   ^^
  hint: only the label is compared so, with 0 or 1; for all else use < <= > >=

1:15: LD304 `==` cannot be a condition here
  torch.where(y == -1, 1, 2)
                ^^
  hint: labels here are 0 and 1: where -1 is meant, write 0

1:12: LD304 comparisons cannot be chained in a formula
  p if 0 < p < 1 else 0
             ^
  hint: nest two `torch.where`

1:6: LD304 `detach` has no meaning in a formula
  pred.detach()
       ^^^^^^
  hint: a formula is what is trained, slope and all; a part without slope cannot be written

1:3: LD304 `softmax` has no meaning in a formula
  F.softmax(logits)
    ^^^^^^^
  hint: a formula sees one prediction at a time; for two classes write sigmoid(score)

1:1: LD304 `nn.BCELoss` is not called
  nn.BCELoss()
  ^^^^^^^^^^
  hint: call it on something

1:5: LD304 indexing has no meaning in a formula
  pred[:, 0]
      ^
  hint: a formula sees one prediction at a time

1:6: LD304 `^` has no meaning in a formula
  pred ^ 2
       ^
  hint: `^` is exclusive or in Python; a power is `**`

1:6: LD304 `and` has no meaning in a formula
  pred and label
       ^^^
  hint: nest two `torch.where`

1:6: LD304 `long` would round what is no label
  pred.long()
       ^^^^
  hint: take it away

1:1: LD304 a formula has no `pi`
  math.pi*pred
  ^^^^^^^
  hint: add `where pi = 3.14159265358979` and write pi

1:6: LD012 attribute `.log` has no meaning in a formula
  pred.log
       ^^^
  hint: call it: `.log()`

1:7: LD015 the function `sigmoid` has no arguments here
  torch.sigmoid
        ^^^^^^^
  hint: write `torch.sigmoid(x)`

1:1: LD003 the name `inputs` has no value
  inputs*2
  ^^^^^^
  hint: say which it is: pred for a probability, score for a logit

1:1: LD003 the name `gama` has no value
  gama*pred where gamma = 2
  ^^^^
  hint: did you mean `gamma`?

1:1: LD011 `pred` is a variable and cannot be the name of the loss
  pred = label
  ^^^^
  hint: leave out `name =`, or write `loss =`

1:9: LD011 `=` cannot stand here
  p.log() = 3
          ^
  hint: name = formula, or a comparison by < <= > >=

1:6: LD004 an operand is missing at the end
  pred **
       ^^
  hint: `**` needs something on its right

1:6: LD005 an operator is missing before `label`
  pred label
       ^^^^^
  hint: write `*` to multiply

1:3: LD304 a tuple has no meaning in a formula
  (p, y)
    ^
  hint: one expression at a time

1:8: LD302 a mean over the batch stands inside the formula
  pred * torch.mean(label)
         ^^^^^^^^^^^^^^^^^
  hint: a formula is the loss of one prediction: only a mean or a sum around the whole can be dropped

1:11: LD302 a mean over the batch stands inside the formula
  torch.exp(-F.binary_cross_entropy(p, y))
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  hint: a formula is the loss of one prediction: only a mean or a sum around the whole can be dropped

1:1: LD304 `class` has no meaning in a formula
  class Loss(Module): pass
  ^^^^^
  hint: paste the lines of its function alone, from `def` to `return`

1:13: LD003 the name `x_uij` has no value
  F.softplus(-x_uij)
              ^^^^^
  hint: the difference of a pair's scores is `score`; check it with --pairwise

1:17: LD002 unknown function `log_loss`
  sklearn.metrics.log_loss(y, p)
                  ^^^^^^^^
  hint: did you mean `binary_cross_entropy`?

1:49: LD303 `neg` stands without its partner
  torch.sigmoid(neg - pos).mean() + torch.sigmoid(neg ** 2).mean()
                                                  ^^^
  hint: a pair is seen by the difference of its scores, as in pos_score - neg_score; a single item by score and label

1:8: LD303 `pos_score` stands without its partner
  F.relu(pos_score - 1)
         ^^^^^^^^^
  hint: a pair is seen by the difference of its scores, as in pos_score - neg_score; a single item by score and label

1:1: LD303 `x1` stands without its partner
  x1 - x2 + x1
  ^^
  hint: a pair is seen by the difference of its scores, as in pos_score - neg_score; a single item by score and label
"""


@pytest.mark.parametrize("message", MISTAKES.strip("\n").split("\n\n"))
def test_mistakes(message: str) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        read(message.splitlines()[1][2:], "python")
    assert str(caught.value) == message


@given(st.integers(0, 10**6), st.integers(-30, 30))
def test_literals_never_pass_through_a_float(digits: int, power: int) -> None:
    text = f"{digits}.25e{power}*p"
    assert read(text, "python").tree == lossdsl.parse(text, "lossdsl").tree


def test_deep_and_long_input_is_refused_quickly() -> None:
    for text in (
        "(" * 5000 + "p",
        "-" * 5000 + "p",
        "p" + "**p" * 2000,
        "+".join(["p"] * 4000),
        "p if y > 0 else " * 400,
    ):
        with pytest.raises(LossSyntaxError):
            read(text, "python")
    doubling = "a0 = p\n" + "".join(f"a{i + 1} = a{i} + a{i}\n" for i in range(60))
    with pytest.raises(LossSyntaxError) as caught:
        read(doubling, "python")
    assert caught.value.code == "LD032"


def test_a_mean_around_a_long_formula_or_a_long_name_is_dropped_all_the_same() -> None:
    long = " + ".join(["p*y"] * 60)
    assert read(f"({long}).mean()", "python").tree == read(long, "python").tree
    name = "a_parameter_with_a_name_of_more_than_thirty_letters"
    assert show(read(f"torch.mean({name}*p) where {name} = 2", "python").tree) == f"{name}*pred where {name} = 2"
    with pytest.raises(LossSyntaxError) as caught:
        read(f"torch.mean({name}*p)", "python")
    assert caught.value.code == "LD003"
