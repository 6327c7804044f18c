"""The functions of PyTorch, NumPy, TensorFlow, Keras, JAX and `math` that a formula can hold, each as a tree.

A row says how a call is spelled (parameters in order, other spellings of a keyword after a bar, `?` where it may be
left out) and what tree it stands for. One row serves every library: `torch.log`, `np.log`, `tf.math.log`, `x.log()`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from lossdsl.errors import Span
from lossdsl.grammar.tree import Apply, Node, Number

Builder = Callable[["Call"], Node]


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments by name, and the span that made-up nodes carry."""

    arguments: Mapping[str, Node]
    span: Span

    def __getitem__(self, name: str) -> Node:
        return self.arguments[name]

    def get(self, name: str, default: int) -> Node:
        """An argument, or a number in its place."""
        return self.arguments.get(name) or self.number(default)

    def number(self, value: int | Fraction) -> Node:
        """A literal; a negative one is a `neg`."""
        node = Number(abs(Fraction(value)), span=self.span)
        return self.apply("neg", node) if value < 0 else node

    def apply(self, op: str, *args: Node | int) -> Node:
        """An operator; plain integers become literals."""
        return Apply(op, tuple(self.number(a) if isinstance(a, int) else a for a in args), span=self.span)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument: the first name is ours, the others are what libraries call it."""

    names: tuple[str, ...]
    optional: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A row of the table."""

    parameters: tuple[Parameter, ...]
    build: Builder
    reduces: bool = False  # averages over the batch unless reduction='none'
    note: str | None = None
    conditions: frozenset[str] = frozenset()

    def usage(self, name: str) -> str:
        """How it is called, for hints."""
        return f"write `{name}({', '.join(p.names[0] for p in self.parameters if not p.optional)})`"

    @property
    def arity(self) -> str:
        """How many arguments, in words."""
        low = sum(not p.optional for p in self.parameters)
        high = sum(p.names[0] not in IGNORED and p.names[0] != "reduction" for p in self.parameters)
        return f"{low} argument{'s' * (low != 1)}" if low == high else f"{low} to {high} arguments"


def _row(
    spelling: str, build: Builder, reduces: bool = False, note: str | None = None, conditions: str = ""
) -> Function:
    parameters = tuple(Parameter(tuple(word.rstrip("?").split("|")), word.endswith("?")) for word in spelling.split())
    return Function(parameters, build, reduces, note, frozenset(conditions.split()))


_X = "x|input|a|tensor|features|value|logits"
_XY = "x|input|a|x1 y|other|b|x2"
_LOSS = "x|input|y_pred|inputs y|target|y_true|targets"
_OLD = " size_average? reduce? reduction?"  # how torch's losses go on


def _simple(op: str) -> Function:
    return _row(_X, lambda c: c.apply(op, c["x"]))


def _binary(op: str) -> Function:
    return _row(_XY + "|exponent", lambda c: c.apply(op, c["x"], c["y"]))


def _clamp(c: Call) -> Node:
    low, high = c.arguments.get("min"), c.arguments.get("max")
    if low is not None and high is not None:
        return c.apply("clamp", c["x"], low, high)
    if low is not None:
        return c.apply("max", c["x"], low)
    return c["x"] if high is None else c.apply("min", c["x"], high)


def _softplus(c: Call) -> Node:
    beta = c.arguments.get("beta")
    if beta is None:
        return c.apply("softplus", c["x"])
    return c.apply("div", c.apply("softplus", c.apply("mul", beta, c["x"])), beta)


def _hyperbolic(op: str) -> Builder:
    def build(c: Call) -> Node:
        up, down = c.apply("exp", c["x"]), c.apply("exp", c.apply("neg", c["x"]))
        return c.apply("div", c.apply(op, up, down), 2)

    return build


def _log_to(base: int) -> Function:
    return _row(_X, lambda c: c.apply("div", c.apply("log", c["x"]), c.apply("log", base)))


def _logaddexp(c: Call) -> Node:
    for one, other in (("x", "y"), ("y", "x")):
        node = c[one]
        if isinstance(node, Number) and node.value == 0:
            return c.apply("softplus", c[other])
    return c.apply("log", c.apply("add", c.apply("exp", c["x"]), c.apply("exp", c["y"])))


def _bce(c: Call) -> Node:
    p, y = c["x"], c["y"]
    positive = c.apply("mul", y, c.apply("log", p))
    negative = c.apply("mul", c.apply("sub", 1, y), c.apply("log", c.apply("sub", 1, p)))
    return _weighted(c, c.apply("neg", c.apply("add", positive, negative)))


def _weighted(c: Call, node: Node) -> Node:
    return c.apply("mul", c["weight"], node) if "weight" in c.arguments else node


def _bce_logits(c: Call) -> Node:
    s, y = c["x"], c["y"]
    positive = c.apply("mul", y, c.apply("logsigmoid", s))
    if "pos_weight" in c.arguments:
        positive = c.apply("mul", c["pos_weight"], positive)
    negative = c.apply("mul", c.apply("sub", 1, y), c.apply("logsigmoid", c.apply("neg", s)))
    return _weighted(c, c.apply("neg", c.apply("add", positive, negative)))


def _difference(c: Call) -> Node:
    return c.apply("sub", c["x"], c["y"])


def _mse(c: Call) -> Node:
    return c.apply("pow", _difference(c), 2)


def _l1(c: Call) -> Node:
    return c.apply("abs", _difference(c))


def _huber(c: Call) -> Node:
    delta, size = c.get("delta", 1), _l1(c)
    half = c.number(Fraction(1, 2))
    inside = c.apply("mul", half, c.apply("pow", _difference(c), 2))
    outside = c.apply("mul", delta, c.apply("sub", size, c.apply("mul", half, delta)))
    return c.apply("if", c.apply("le", size, delta), inside, outside)


def _smooth_l1(c: Call) -> Node:
    beta, size = c.get("beta", 1), _l1(c)
    half = c.number(Fraction(1, 2))
    inside = c.apply("div", c.apply("mul", half, c.apply("pow", _difference(c), 2)), beta)
    outside = c.apply("sub", size, c.apply("mul", half, beta))
    return c.apply("if", c.apply("lt", size, beta), inside, outside)


def _soft_margin(c: Call) -> Node:
    return c.apply("softplus", c.apply("neg", c.apply("mul", c["y"], c["x"])))


def _margin_ranking(c: Call) -> Node:
    inner = c.apply("mul", c.apply("neg", c["y"]), c.apply("sub", c["x1"], c["x2"]))
    if "margin" in c.arguments:
        inner = c.apply("add", inner, c["margin"])
    return c.apply("relu", inner)


_PLUS_MINUS = "its labels are -1 and 1, a formula's are 0 and 1: for torch's own reading hand over 2*label-1"
_KERAS_NOTE = "Keras clips the prediction to [1e-7, 1-1e-7] first; that is not part of what was read"
_BCE_NOTE = "torch cuts the logarithms of binary_cross_entropy off at -100; that is not part of what was read"

FUNCTIONS: dict[str, Function] = {
    **{n: _simple(n) for n in ("log", "log1p", "exp", "expm1", "sqrt", "square", "reciprocal", "abs", "sign")},
    **{n: _simple(n) for n in ("sigmoid", "logsigmoid", "tanh", "relu")},
    "absolute": _simple("abs"),
    "fabs": _simple("abs"),
    "sgn": _simple("sign"),
    "expit": _simple("sigmoid"),
    "log_sigmoid": _simple("logsigmoid"),
    "neg": _simple("neg"),
    "negative": _simple("neg"),
    "softplus": _row(_X + " beta? threshold?", _softplus),
    "maximum": _binary("max"),
    "fmax": _binary("max"),
    "max": _binary("max"),
    "minimum": _binary("min"),
    "fmin": _binary("min"),
    "min": _binary("min"),
    "add": _binary("add"),
    "sub": _binary("sub"),
    "subtract": _binary("sub"),
    "mul": _binary("mul"),
    "multiply": _binary("mul"),
    "div": _binary("div"),
    "divide": _binary("div"),
    "true_divide": _binary("div"),
    "pow": _binary("pow"),
    "power": _binary("pow"),
    "float_power": _binary("pow"),
    **{n: _binary(n) for n in ("lt", "le", "gt", "ge")},
    "less": _binary("lt"),
    "less_equal": _binary("le"),
    "greater": _binary("gt"),
    "greater_equal": _binary("ge"),
    "clamp": _row(_X + "|t min|a_min|clip_value_min|min_value? max|a_max|clip_value_max|max_value?", _clamp),
    "clamp_min": _row(_X + " min", _clamp),
    "clamp_max": _row(_X + " max", _clamp),
    "where": _row(
        "condition|cond x|input|a y|other|b",
        lambda c: c.apply("if", c["condition"], c["x"], c["y"]),
        conditions="condition",
    ),
    "cosh": _row(_X, _hyperbolic("add")),
    "sinh": _row(_X, _hyperbolic("sub")),
    "rsqrt": _row(_X, lambda c: c.apply("div", 1, c.apply("sqrt", c["x"]))),
    "logit": _row(_X, lambda c: c.apply("log", c.apply("div", c["x"], c.apply("sub", 1, c["x"])))),
    "log2": _log_to(2),
    "log10": _log_to(10),
    "logaddexp": _row(_XY, _logaddexp),
    "xlogy": _row(_XY, lambda c: c.apply("mul", c["x"], c.apply("log", c["y"]))),
    "leaky_relu": _row(
        _X + " negative_slope|alpha|slope",
        lambda c: c.apply(
            "add", c.apply("max", 0, c["x"]), c.apply("mul", c["negative_slope"], c.apply("min", 0, c["x"]))
        ),
    ),
    "squared_difference": _row(_XY, _mse),
    "relu6": _row(_X, lambda c: c.apply("clamp", c["x"], 0, 6)),
    "mean_squared_error": _row("y|y_true x|y_pred", lambda c: c.apply("pow", c.apply("sub", c["y"], c["x"]), 2)),
    "mean_absolute_error": _row("y|y_true x|y_pred", lambda c: c.apply("abs", c.apply("sub", c["y"], c["x"]))),
    "binary_cross_entropy": _row(_LOSS + " weight?" + _OLD, _bce, True, _BCE_NOTE),
    "binary_cross_entropy_with_logits": _row(_LOSS + " weight?" + _OLD + " pos_weight?", _bce_logits, True),
    "binary_crossentropy": _row("y|target|y_true x|output|y_pred from_logits?", _bce, False, _KERAS_NOTE),
    "sigmoid_cross_entropy_with_logits": _row("y|labels x|logits", _bce_logits),
    "mse_loss": _row(_LOSS + _OLD, _mse, True),
    "l1_loss": _row(_LOSS + _OLD, _l1, True),
    "huber_loss": _row(_LOSS + " reduction? delta?", _huber, True),
    "smooth_l1_loss": _row(_LOSS + _OLD + " beta?", _smooth_l1, True),
    "soft_margin_loss": _row(_LOSS + _OLD, _soft_margin, True, _PLUS_MINUS),
    "margin_ranking_loss": _row("x1|input1 x2|input2 y|target margin?" + _OLD, _margin_ranking, True, _PLUS_MINUS),
}
for _alias, _of in {"clip": "clamp", "clip_by_value": "clamp", "switch": "where"}.items():
    FUNCTIONS[_alias] = FUNCTIONS[_of]

# A class that is made first and called after: `nn.Softplus()(x)`.
CLASSES = {
    "Sigmoid": "sigmoid",
    "LogSigmoid": "logsigmoid",
    "Tanh": "tanh",
    "ReLU": "relu",
    "Softplus": "softplus",
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "MSELoss": "mse_loss",
    "L1Loss": "l1_loss",
    "HuberLoss": "huber_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "SoftMarginLoss": "soft_margin_loss",
    "MarginRankingLoss": "margin_ranking_loss",
}

REDUCTIONS = {
    "mean": "mean",
    "reduce_mean": "mean",
    "average": "mean",
    "nanmean": "mean",
    "sum": "sum",
    "reduce_sum": "sum",
}

REDUCTION_OPTIONS = {"none": None, "mean": "mean", "sum": "sum"}
# Options of a call that do not change what one prediction's loss is.
IGNORED = frozenset("name dtype inplace out reduce size_average dim axis keepdim keepdims threshold".split())

# What a mean or a sum may be told: along which axes it goes, and how the result is kept.
OF_A_REDUCTION = frozenset("axis dim axes reduction_indices keepdim keepdims keep_dims dtype name out".split())

# Names that are an axis, a type, or Python's own.
NO_NUMBERS = frozenset(
    "None True False dim dims axis axes float float16 float32 float64 double half bfloat16 int int32 int64 long".split()
)

# These change type, place or shape, never a value.
PASSING = frozenset(
    "float double half bfloat16 to type type_as view view_as reshape squeeze unsqueeze flatten contiguous cuda cpu "
    "astype clone expand_as cast convert_to_tensor as_tensor asarray array constant tensor float32 float64 identity "
    "ravel".split()
)
# These make an integer: right for labels and for comparisons, a rounding for all else.
INTEGERS = frozenset("int long bool".split())
INTEGER_TYPE = re.compile(r"u?int\d*_?|long|bool_?|(?:Long|Int|Bool|Byte)Tensor")

# What a pasted formula may hold and a formula cannot, with what to do instead.
REFUSED = {
    "detach": "a formula is what is trained, slope and all; a part without slope cannot be written",
    "stop_gradient": "a formula is what is trained, slope and all; a part without slope cannot be written",
    "no_grad": "a formula is what is trained, slope and all; a part without slope cannot be written",
    "softmax": "a formula sees one prediction at a time; for two classes write sigmoid(score)",
    "log_softmax": "a formula sees one prediction at a time; for two classes write logsigmoid(score)",
    "cross_entropy": "a formula sees one prediction at a time; for two classes use F.binary_cross_entropy",
    "nll_loss": "a formula sees one prediction at a time; for two classes use F.binary_cross_entropy",
    "logsumexp": "a formula sees one prediction at a time; for two terms write log(exp(a) + exp(b))",
    "norm": "a formula sees one prediction at a time; the norm of a number is abs(x)",
    "cumsum": "a formula sees one prediction at a time",
    "matmul": "a formula sees one prediction at a time",
    "one_hot": "a formula's label is 0 or 1 already",
    "gather": "a formula sees one prediction at a time",
    "len": "for the mean over the batch write .mean()",
    "size": "for the mean over the batch write .mean()",
    "numel": "for the mean over the batch write .mean()",
}
