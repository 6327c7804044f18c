"""Writes a loss as Python source that needs nothing but the standard library: for one number at a time."""

from __future__ import annotations

from lossdsl.formula import Formula
from lossdsl.targets.listing import NOTE, arguments, function_name, listed, programs

_TEMPLATES = {
    "neg": "-{0}", "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "_div({0}, {1})",
    "abs": "abs({0})", "sign": "_sign({0})", "relu": "_max({0}, 0.0)", "sqrt": "_sqrt({0})", "exp": "_exp({0})",
    "expm1": "_expm1({0})", "log": "_log({0})", "log1p": "_log1p({0})", "sigmoid": "_sigmoid({0})",
    "logsigmoid": "_logsigmoid({0})", "tanh": "math.tanh({0})", "pow": "_pow({0}, {1})",
    "min": "_min({0}, {1})", "max": "_max({0}, {1})", "clamp": "_min(_max({0}, {1}), {2})",
    "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}", "ge": "{0} >= {1}", "eq": "{0} == {1}",
    "select": "{1} if {0} else {2}", "mix": "{0} * {1} + (1.0 - {0}) * {2}",
}  # fmt: skip

# Where Python's own functions raise, these give what floating point gives: infinity or NaN.
_HELPERS = {
    "_sign": "def _sign(x):\n    return math.copysign(1.0, x) if x > 0 or x < 0 else x",
    "_max": "def _max(a, b):\n    return a if a > b or a != a else b",
    "_min": "def _min(a, b):\n    return a if a < b or a != a else b",
    "_sqrt": "def _sqrt(x):\n    return math.nan if x < 0 else math.sqrt(x)",
    "_exp": "def _exp(x):\n    return math.inf if x > 709.782712893384 else math.exp(x)",
    "_expm1": "def _expm1(x):\n    return math.inf if x > 709.782712893384 else math.expm1(x)",
    "_log": "def _log(x):\n    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan",
    "_log1p": "def _log1p(x):\n    return math.log1p(x) if x > -1 else -math.inf if x == -1 else math.nan",
    "_sigmoid": (
        "def _sigmoid(x):\n    t = math.exp(-abs(x))\n    return 1.0 / (1.0 + t) if x >= 0 else t / (1.0 + t)"
    ),
    "_logsigmoid": "def _logsigmoid(x):\n    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))",
    "_div": (
        "def _div(a, b):\n    if b:\n        return a / b\n"
        "    return math.nan if a != a or not a else math.copysign(math.inf, a) * math.copysign(1.0, b)"
    ),
    "_pow": (
        "def _pow(x, y):\n    try:\n        return math.pow(x, y)\n"
        "    except OverflowError:\n        return math.inf\n"
        "    except ValueError:\n        return math.inf if x == 0 else math.nan"
    ),
}  # fmt: skip


def source(formula: Formula, pairwise: bool = False) -> str:
    """Functions of pred and of score, each of which gives value and slope.

    >>> from lossdsl.formula import parse
    >>> print(source(parse("-label*log(pred)")).split("def loss_on_pred")[1].split("def ")[0].rstrip())
    (pred, label):
        \"\"\"Value and d loss / d pred.\"\"\"
        pred = _inside(pred)
        v0 = _log(pred)
        v1 = label * v0
        v2 = -v1
        v3 = _div(1.0, pred)
        v4 = label * v3
        v5 = -v4
        return v2, v5
    """
    functions, used = [], ""
    for axis, program in programs(formula, pairwise).items():
        listing = listed(program, _TEMPLATES)
        lines = [
            f"def {function_name(formula, axis)}({', '.join(arguments(program))}):",
            f'    """Value and d loss / d {axis}."""',
            *(["    pred = _inside(pred)"] if axis == "pred" else []),
            *(f"    {line}" for line in listing.lines),
            f"    return {listing.value}, {listing.slope}",
        ]
        functions.append("\n".join(lines))
        used += functions[-1]
    helpers = [text for name, text in _HELPERS.items() if f"{name}(" in used]
    if "_inside" in used:
        helpers.append(_INSIDE)
    title = f'"""Loss: {formula}\n\n{NOTE}\n"""'
    return "\n\n\n".join([f"{title}\n\nimport math", *helpers, *functions]) + "\n"


_INSIDE = """def _inside(pred):
    if not 0.0 <= pred <= 1.0 and pred == pred:
        raise ValueError("pred lies outside [0, 1]; raw scores belong into the function on score")
    return min(max(pred, 2.2250738585072014e-308), 0.9999999999999999)"""
