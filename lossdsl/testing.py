"""Random formulas for property-based tests: a Hypothesis strategy (extra `testing`), and damaged texts for fuzzing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.errors import MissingExtra
from lossdsl.formula import Formula
from lossdsl.grammar.limits import breach
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import VARIABLES, Apply, Binding, Name, Node, Number, Tree, names

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# Real and finite wherever their arguments are.
_TOTAL = frozenset(
    ("add", "sub", "mul", "neg", "square", "abs", "sign", "exp", "expm1", "sigmoid", "logsigmoid", "tanh", "relu")
    + ("softplus", "min", "max", "clamp", "if", "plog", "pinv", "psqrt", "lt", "le", "gt", "ge")
)
# Real and finite where the argument that `_POSITIVE` names is positive.
_POSITIVE = {"log": 0, "log1p": 0, "sqrt": 0, "reciprocal": 0, "div": 1, "pow": 0}
_NUMBERS = ("1", "2", "0", "0.5", "3", "0.1", "0.25", "1.5", "10", "1e-6", "1e5", "0.001")
_EXPONENTS = ("2", "3", "1", "0", "0.5", "0.7", "1.5", "4")
_BOUNDS = (("0", "1"), ("1e-5", "1e5"), ("0.25", "0.5"), ("1e-6", "0.999999"))
_PARAMETERS = ("gamma", "alpha", "c", "y_hat", "exp_", "x1")


def formulas(
    depth: int = 4,
    *,
    operators: Iterable[str] | None = None,
    domain_safe: bool = False,
    variables: Sequence[str] = ("pred", "label"),
    parameters: bool = False,
) -> SearchStrategy[Formula]:
    """Formulas with up to `depth` operators from the root to a leaf (a few more round a part that must be positive).

    `operators` names the rows of `lossdsl.grammar.operators.OPERATORS` to draw from (default: all of them).
    With `domain_safe` every part is real and finite for every pred in (0,1), every label and every score.
    `parameters` adds names that `where` gives a value or a range.

    >>> from hypothesis import given, settings
    >>> import lossdsl
    >>> @settings(max_examples=20, database=None)
    ... @given(lossdsl.testing.formulas(depth=2))
    ... def printing_reads_back(formula):
    ...     assert lossdsl.parse(str(formula), "lossdsl") == formula
    >>> printing_reads_back()
    """
    try:
        from hypothesis import strategies as st
    except ImportError:
        raise MissingExtra("testing", "lossdsl.testing") from None

    chosen = list(OPERATORS) if operators is None else list(dict.fromkeys(operators))
    unknown = [name for name in chosen if name not in OPERATORS]
    if unknown:
        raise ValueError(f"unknown operator {unknown[0]!r}")
    if not variables or not set(variables) <= set(VARIABLES):
        raise ValueError(f"variables are some of {', '.join(VARIABLES)}")
    if domain_safe:
        chosen = [name for name in chosen if name in _TOTAL or name in _POSITIVE]

    def decode(data: bytes) -> Formula | None:
        return _Decoder(data, chosen, domain_safe, tuple(variables), parameters).formula(depth)

    # One draw of bytes, decoded, is some twenty times as fast as a strategy for each node, and shrinks as well: fewer
    # and smaller bytes are smaller formulas.
    return st.binary(min_size=4 * depth, max_size=16 * depth + 16).map(decode).filter(_is_formula)  # type: ignore[return-value]


def _is_formula(formula: Formula | None) -> bool:
    return formula is not None


class _Decoder:
    """Reads bytes as choices; where they run out, each choice is the first."""

    def __init__(
        self, data: bytes, operators: list[str], safe: bool, variables: tuple[str, ...], parameters: bool
    ) -> None:
        self.data = iter(data)
        self.comparisons = [name for name in operators if OPERATORS[name].boolean]
        self.operators = [
            name for name in operators if not OPERATORS[name].boolean and (name != "if" or self.comparisons)
        ]
        self.safe = safe
        self.names = (*variables, *_PARAMETERS) if parameters else variables

    def pick(self, count: int) -> int:
        return next(self.data, 0) % count

    def number(self, texts: Sequence[str]) -> Number:
        return Number(Fraction(texts[self.pick(len(texts))]))

    def formula(self, depth: int) -> Formula | None:
        root = self.node(depth)
        used = names(root)
        where = []
        for name in _PARAMETERS:
            if name in used:
                low, width = Fraction(self.pick(256) - 100, 1 + self.pick(12)), Fraction(max(0, self.pick(8) - 4), 3)
                where.append(Binding(name, low, low + width))
        tree = Tree(root, tuple(where))
        return None if breach(tree) is not None else Formula.from_tree(tree)

    def node(self, depth: int) -> Node:
        choice = self.pick(256)
        if depth <= 0 or not self.operators or choice < 40:
            return self.leaf()
        return self.apply(self.operators[choice % len(self.operators)], depth - 1)

    def leaf(self) -> Node:
        choice = self.pick(len(self.names) + 1)
        return Name(self.names[choice]) if choice < len(self.names) else self.number(_NUMBERS)

    def apply(self, name: str, depth: int) -> Node:
        if name == "if":
            condition = Apply(self.comparisons[self.pick(len(self.comparisons))], (self.node(depth), self.node(depth)))
            return Apply("if", (condition, self.node(depth), self.node(depth)))
        if name in ("min", "max"):
            return Apply(name, tuple(self.node(depth) for _ in range(2 + self.pick(4) // 3)))
        if name == "clamp":
            low, high = _BOUNDS[self.pick(len(_BOUNDS))]
            return Apply(name, (self.node(depth), Number(Fraction(low)), Number(Fraction(high))))
        if name in ("plog", "pinv", "psqrt"):
            epsilon = (self.number(("1e-6", "0.1", "1")),) if self.pick(2) else ()
            return Apply(name, (self.node(depth), *epsilon))
        first: Callable[[int], Node] = self.positive if self.safe and _POSITIVE.get(name) == 0 else self.node
        if name == "pow":
            exponent: Node = self.number(_EXPONENTS)
            kind = self.pick(6)
            if kind == 1:
                exponent = Apply("neg", (exponent,))
            elif kind == 2 and not self.safe:
                exponent = self.node(depth)
            return Apply(name, (first(depth), exponent))
        if OPERATORS[name].low == 1:
            return Apply(name, (first(depth),))
        second = self.positive if self.safe and _POSITIVE.get(name) == 1 else self.node
        return Apply(name, (first(depth), second(depth)))

    def positive(self, depth: int) -> Node:
        """A part that is positive wherever its own parts are real and finite."""
        one, small = Number(Fraction(1)), Number(Fraction(1, 10**6))
        simple: list[Node] = [one, self.number([text for text in _NUMBERS if text != "0"])]
        if "pred" in self.names:
            simple.append(Name("pred"))
        if "pred" in self.names and "sub" in self.operators:
            simple.append(Apply("sub", (one, Name("pred"))))
        if "label" in self.names and "add" in self.operators:
            simple.append(Apply("add", (Name("label"), small)))
        if depth <= 0 or not self.operators:
            return simple[self.pick(len(simple))]
        options = ("abs", "square", "relu", "exp", "sigmoid", "softplus", "add", "mul", "div")
        allowed = [n for n in options if n in self.operators and ("add" in self.operators or n not in options[:3])]
        choice = self.pick(len(simple) + 2 * len(allowed))
        if choice < len(simple):
            return simple[choice]
        name = allowed[(choice - len(simple)) % len(allowed)]
        if name in ("add", "mul", "div"):
            return Apply(name, (self.positive(depth - 1), self.positive(depth - 1)))
        inner = Apply(name, (self.node(depth - 1),))
        return inner if name in ("exp", "sigmoid", "softplus") else Apply("add", (inner, small))


_SEEDS = (
    "-(label*log(pred) + (1-label)*log(1-pred))",
    "-label*(1-pred)^gamma*log(pred) where gamma = 2",
    "focal where gamma = 1",
    "max(0, margin - (2*label-1)*score) where margin in [0, 1/2]",
    "if(|label - pred| <= 0.5, (y-p)**2/2, 1e-6)",
    "clamp(plog(pinv(s, 0.1)), 1e-5, 1e5)",
    "-torch.log(torch.sigmoid(pos_score - neg_score)).mean()",
    "x.pow(2).clamp(min=0)",
    "torch.where(y == 1, -torch.log(p), F.relu(p - 0.1))",
    "loss = np.maximum(0, 1 - y_true*logit)",
    r"-y\log\hat{y} - (1-y)\log(1-\hat{y})",
    r"\frac{1}{2}\left(y - \sigma(s)\right)^{2}",
    r"\max\{0, 1 - y s\}",
    "Log ((1 / (pred))) + (label) ^ 2",
    "max(pred * 1 / (label) , - (Sigmoid (pred)))",
    "9^9^9^9",
)
_PIECES = (
    *"pred label score p y s gamma where in if max min clamp log exp plog ( ) | , + - * / ^ ** < <= > >= = ==".split(),
    *r". : ; [ ] { } 0 1 2 0.5 1e-6 1e999 .5 1/3 \frac \log \hat{y} ^{ _{ \sigma \left( \right) $ torch. np.".split(),
    *".mean() .pow(".split(),
    *"lambda return def not and or Log Sigmoid р − × ² ŷ 😀 # ' \" ` ~ ! ? & % @ \\".split(),
    *("\0", "\u202e", "\u00a0", "\u200b", "\ud800"),
)


def texts(seed: int = 0) -> Iterator[str]:
    """An endless stream of texts for fuzzing readers: formulas of every dialect, damaged, spliced and repeated.

    The same seed gives the same texts.

    >>> from itertools import islice
    >>> from lossdsl.testing import texts
    >>> list(islice(texts(1), 5)) == list(islice(texts(1), 5))
    True
    """
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        if kind < 0.15:
            text = " ".join(rng.choice(_PIECES) for _ in range(rng.randint(1, 12)))
        elif kind < 0.2:
            text = "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x3000), 9))) for _ in range(30))
        elif kind < 0.45:
            formula = _Decoder(rng.randbytes(rng.randint(4, 60)), list(OPERATORS), False, VARIABLES, True).formula(4)
            text = str(formula)
        else:
            text = rng.choice(_SEEDS)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
            text = _damaged(text, rng)[:20_000]
        yield text


def _damaged(text: str, rng: random.Random) -> str:
    start = rng.randint(0, len(text))
    end = min(len(text), start + rng.choice((1, 1, 2, 5, 20)))
    kind = rng.randrange(7)
    if kind == 0:
        return text[:start] + text[end:]
    if kind == 1:
        return text[:start] + rng.choice(_PIECES) + text[start:]
    if kind == 2:
        return text[:start] + text[start:end] * rng.choice((2, 2, 3, 3, 50, rng.choice((100, 2000)))) + text[end:]
    if kind == 3:
        other = rng.choice(_SEEDS)
        return text[:start] + other[rng.randint(0, len(other)) :]
    if kind == 4:
        depth = rng.choice((1, 1, 1, 2, 3, 3, 70, rng.choice((200, 2000))))
        opening, closing = rng.choice((("(", ")"), ("|", "|"), ("log(", ")"), ("-", ""), ("{", "}"), (r"\sqrt{", "}")))
        return opening * depth + text + closing * depth
    if kind == 5:
        return text[:start] + rng.choice(_PIECES) + text[end:]
    return text[end:] + text[:start]
