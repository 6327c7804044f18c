"""Names and numbers, the same for every dialect: what a word stands for, and what to say where it is unknown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from fractions import Fraction

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.limits import check_tree
from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.numerals import MAX_DIGITS, MAX_POWER, BadNumber, read_decimal
from lossdsl.grammar.operators import ALIASES, OPERATORS
from lossdsl.grammar.suggest import nearest
from lossdsl.grammar.tree import VARIABLES, Apply, Binding, Name, Node, Number, Tree, names, walk

FUNCTIONS = {row.name: row for row in OPERATORS.values() if row.is_function}

# What other libraries call our functions; difflib alone would not find these.
_ELSEWHERE = {
    "ln": "log", "maximum": "max", "minimum": "min", "clip": "clamp", "fabs": "abs", "sigma": "sigmoid",
    "log_sigmoid": "logsigmoid", "logistic": "sigmoid", "inv": "reciprocal", "iif": "if", "where": "if",
}  # fmt: skip

# What people call the model's output, be it a probability or a score.
AMBIGUOUS = frozenset("input inputs output outputs out x z f model_output".split())
WHICH = "say which it is: pred for a probability, score for a logit"
_LOSSES_ELSEWHERE = {
    "ce": "bce", "xent": "bce", "bce": "bce", "crossentropy": "bce", "binarycrossentropy": "bce", "logloss": "bce",
    "nll": "bce", "logistic": "bce", "mse": "mse", "l2": "mse", "squarederror": "mse", "bpr": "bpr", "ranknet": "bpr",
    "focal": "focal", "huber": "huber", "smoothl1": "huber", "hinge": "hinge", "svm": "hinge",
}  # fmt: skip
_DIFFERENCES = frozenset("diff difference err error errors residual residuals".split())

_CIRCLE = ("sin", "cos", "tan", "cot", "sec", "csc")
_TRIGONOMETRIC = {*_CIRCLE, *(prefix + name for prefix in ("a", "arc") for name in _CIRCLE), "sine", "cosine", "atan2"}


def absent(name: str) -> str | None:
    """What to say of a function that other libraries have and no loss of ours, where a guess would mislead.

    >>> from lossdsl.grammar.naming import absent
    >>> absent("sin")
    'there are no trigonometric functions; `lossdsl explain LD002` lists the functions'
    """
    if name.lower() in _TRIGONOMETRIC:
        return "there are no trigonometric functions; `lossdsl explain LD002` lists the functions"
    if name.lower() in ("softmax", "log_softmax", "logsoftmax"):
        return "a formula is about one prediction: of two classes, softmax is `sigmoid` of the difference of the scores"
    return None


def number(text: str, source: str, span: Span) -> Fraction:
    """The exact value of an unsigned decimal literal, or `LossSyntaxError` beyond the limits.

    >>> from lossdsl.errors import Span
    >>> from lossdsl.grammar.naming import number
    >>> number("0.25", "0.25*pred", Span(0, 4))
    Fraction(1, 4)
    """
    try:
        return read_decimal(text)
    except BadNumber as error:
        raise bad_number(source, span, error.kind) from None


def bad_number(source: str, span: Span, kind: str) -> LossSyntaxError:
    """The error for a number with too many digits, or too large or small."""
    if kind == "digits":
        return LossSyntaxError(
            "LD034", f"the number has more than {MAX_DIGITS} digits", source, span, "round it: a float holds 17"
        )
    message = f"the number is beyond 1e{MAX_POWER} or under 1e-{MAX_POWER} in size"
    return LossSyntaxError("LD035", message, source, span, "write a number nearer to 1")


def resolve(
    name: str,
    span: Span,
    source: str,
    defined: Collection[str],
    aliases: Mapping[str, str] = ALIASES,
    others: Callable[[], Iterable[str]] = tuple,
) -> str:
    """What a name stands for: a parameter that `where` defines, a variable, or an alias of one.

    `others` tells the names of the whole formula, so that the error can tell all that lack a value at once.
    """
    if name in defined or name in VARIABLES:
        return name
    if name in aliases:
        return aliases[name]
    if name in FUNCTIONS:
        message = f"the function `{name}` has no arguments here"
        raise LossSyntaxError("LD015", message, source, span, f"write `{pattern(name)}`")
    if name in loss_names():
        message = f"the named loss `{name}` stands inside an expression"
        hint = f"use `{name}` alone, or write its formula out: `lossdsl show {name}` prints it"
        raise LossSyntaxError("LD016", message, source, span, hint)
    hint = _no_parameter(name, defined, aliases) or _valued(name, others(), defined, aliases)
    raise LossSyntaxError("LD003", f"the name `{short(name)}` has no value", source, span, hint)


def _no_parameter(name: str, defined: Collection[str], aliases: Mapping[str, str]) -> str | None:
    """What to say of an unknown name that is hardly a parameter, else None."""
    plain = name.lower().replace("_", "").removesuffix("loss")
    if name == "e":
        return "there are no built-in constants: write `exp(x)` for e^x, or add `where e = 2.718281828459045`"
    if name == "pi":
        return "there are no built-in constants: add `where pi = 3.141592653589793`"
    if plain == "pt":
        return "write out what it stands for: `label*pred + (1-label)*(1-pred)`"
    if plain in _LOSSES_ELSEWHERE:
        loss = _LOSSES_ELSEWHERE[plain]
        return f"did you mean the named loss `{loss}`? it stands alone; `lossdsl show {loss}` prints its formula"
    if plain in _DIFFERENCES:
        return "write the difference out, such as `label-pred`"
    if name in AMBIGUOUS:
        return WHICH
    if plain in ("xuij", "ruij", "suij", "xij", "sij", "rij"):
        return "the difference of a pair's scores is `score`; check it with --pairwise"
    close = nearest(name, [*defined, *VARIABLES, *aliases])
    return f"did you mean `{close}`?" if close else None


def _valued(name: str, others: Iterable[str], defined: Collection[str], aliases: Mapping[str, str]) -> str:
    """How to give a value to a parameter, and to all others that lack one."""
    known = {*defined, *VARIABLES, *aliases, *FUNCTIONS, *loss_names()}
    lacking = [name]
    for other in others:
        if len(lacking) < 8 and other not in known and other not in lacking:
            if _no_parameter(other, defined, aliases) is None:
                lacking.append(other)
    values = ", ".join(f"{short(each)} = 1" for each in lacking)
    need = "a parameter needs one" if len(lacking) == 1 else "parameters need values"
    return f"{need}: add `{values}` behind `where`" if defined else f"{need}: add `where {values}`"


def unknown_function(name: str, span: Span, source: str, defined: Collection[str] = ()) -> LossSyntaxError:
    """The error for `name(…)` where `name` is no function."""
    if name in defined or name in VARIABLES or name in ALIASES:
        hint = f"to multiply, write `{short(name)}*(…)`"
        return LossSyntaxError("LD002", f"`{short(name)}` is no function", source, span, hint)
    if name in loss_names():
        message = f"the named loss `{name}` takes no arguments"
        hint = f"use `{name}` alone, with its parameters behind `where`"
        return LossSyntaxError("LD016", message, source, span, hint)
    close = _ELSEWHERE.get(name.lower()) or nearest(name, FUNCTIONS)
    if name in AMBIGUOUS:
        hint = "the model's output is a name without brackets: pred for a probability, score for a logit"
    elif missing := absent(name):
        hint = missing
    elif close:
        hint = f"did you mean `{close}`?"
    elif name.lower() in ("pow", "power"):
        hint = "write `x^n`"
    else:
        hint = "`lossdsl explain LD002` lists the functions"
    return LossSyntaxError("LD002", f"unknown function `{short(name)}`", source, span, hint)


def wrong_count(name: str, count: int, span: Span, source: str) -> LossSyntaxError | None:
    """The error where a function of the language does not take `count` arguments, else None."""
    row = FUNCTIONS[name]
    if row.low <= count and (row.high is None or count <= row.high):
        return None
    return LossSyntaxError(
        "LD008", f"`{name}` takes {_arity(name)}, not {count}", source, span, f"write `{pattern(name)}`"
    )


def finish(root: Node, where: tuple[Binding, ...], source: str, aliases: Mapping[str, str] = ALIASES) -> Tree:
    """A tree whose names are as written becomes one with `pred`, `label`, `score` and parameters, limits checked.

    >>> from lossdsl.grammar.naming import finish
    >>> from lossdsl.grammar.tree import Name
    >>> finish(Name("y_hat"), (), "y_hat").root
    Name(name='pred')
    """
    check_tree(Tree(root, where), source)
    defined = {b.name: b for b in where}
    new: dict[Node, Node] = {}
    for node in walk(root):
        if isinstance(node, Name):
            span = node.span or Span(0, len(source))
            known = resolve(node.name, span, source, defined, aliases, lambda: _in_order(root))
            new[node] = Name(known, span=node.span)
        elif isinstance(node, Apply):
            new[node] = Apply(node.op, tuple(new[a] for a in node.args), span=node.span)
        else:
            new[node] = node
    used = names(new[root])
    for binding in where:
        if binding.name not in used:
            raise unused(binding.name, sorted(used), source, Span(0, len(source)))
    return Tree(new[root], where)


def _in_order(root: Node) -> list[str]:
    return [node.name for node in walk(root) if isinstance(node, Name)]


def unused(name: str, known: Collection[str], source: str, span: Span, loss: str | None = None) -> LossSyntaxError:
    """The error for a parameter of `where` that the formula, or the named loss, does not have."""
    owner = f"`{loss}`" if loss else "the formula"
    close = nearest(name, known)
    if close:
        hint = f"did you mean `{close}`?"
    elif loss is None:
        hint = f"leave `{short(name)}` out of `where`, or use it"
    elif known:
        hint = f"the parameters of `{loss}` are {', '.join(f'`{k}`' for k in known)}"
    else:
        hint = f"`{loss}` has no parameters"
    return LossSyntaxError("LD018", f"{owner} has no parameter `{short(name)}`", source, span, hint)


def unspanned(root: Node) -> Node:
    """The same tree without places."""
    new: dict[Node, Node] = {}
    for node in walk(root):
        if isinstance(node, Apply):
            new[node] = Apply(node.op, tuple(new[a] for a in node.args))
        elif isinstance(node, Name):
            new[node] = Name(node.name)
        elif isinstance(node, Number):
            new[node] = Number(node.value)
    return new[root]


def short(name: str) -> str:
    """A name for a message, cut where it is long."""
    return name if len(name) <= 40 else name[:37] + "…"


def _arity(name: str) -> str:
    row = FUNCTIONS[name]
    if row.high is None:
        return f"{row.low} or more arguments"
    if row.low != row.high:
        return f"{row.low} or {row.high} arguments"
    return f"{row.low} argument{'s' if row.low > 1 else ''}"


def pattern(name: str) -> str:
    """How a function is written, for hints."""
    if name == "if":
        return "if(pred > 0.5, a, b)"
    return {1: f"{name}(x)", 2: f"{name}(a, b)", 3: f"{name}(x, low, high)"}[FUNCTIONS[name].low]
