"""Writes a loss as Python source for NumPy arrays, with no dependency on lossdsl."""

from __future__ import annotations

from lossdsl.formula import Formula
from lossdsl.targets.listing import NOTE, arguments, function_name, listed, programs

_TEMPLATES = {
    "neg": "-{0}", "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "np.divide({0}, {1})",
    "abs": "np.abs({0})", "sign": "np.sign({0})", "relu": "np.maximum({0}, 0.0)", "sqrt": "np.sqrt({0})",
    "exp": "np.exp({0})", "expm1": "np.expm1({0})", "log": "np.log({0})", "log1p": "np.log1p({0})",
    "sigmoid": "_sigmoid({0})", "logsigmoid": "np.minimum({0}, 0.0) - np.log1p(np.exp(-np.abs({0})))",
    "tanh": "np.tanh({0})", "pow": "np.power({0}, {1})", "min": "np.minimum({0}, {1})", "max": "np.maximum({0}, {1})",
    "clamp": "np.minimum(np.maximum({0}, {1}), {2})",
    "lt": "np.less({0}, {1})", "le": "np.less_equal({0}, {1})", "gt": "np.greater({0}, {1})",
    "ge": "np.greater_equal({0}, {1})", "eq": "np.equal({0}, {1})",
    "select": "np.where({0}, {1}, {2})", "mix": "{0} * {1} + (1.0 - {0}) * {2}",
}  # fmt: skip

_SIGMOID = """def _sigmoid(x):
    t = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, t) / (1.0 + t)"""
_INSIDE = """def _inside(pred):
    if np.any(pred < 0) or np.any(pred > 1):
        raise ValueError("pred lies outside [0, 1]; raw scores belong into the function on score")
    return np.clip(pred, np.finfo(float).tiny, 1 - np.finfo(float).epsneg)"""


def source(formula: Formula, pairwise: bool = False) -> str:
    """Functions of arrays of pred and of score, each of which gives value and slope of every element.

    >>> from lossdsl.formula import parse
    >>> "v0 = label - pred" in source(parse("mse"))
    True
    """
    functions = []
    for axis, program in programs(formula, pairwise).items():
        listing = listed(program, _TEMPLATES)
        given = arguments(program)
        arrays = [name for name in given if name in (axis, "label")]
        lines = [
            f"def {function_name(formula, axis)}({', '.join(given)}):",
            f'    """Value and d loss / d {axis}, float64 arrays."""',
            *(f"    {name} = np.asarray({name}, dtype=float)" for name in arrays),
            *(["    pred = _inside(pred)"] if axis == "pred" else []),
            f"    shape = np.broadcast_shapes({', '.join(f'{name}.shape' for name in arrays)})",
            '    with np.errstate(all="ignore"):',
            *(f"        {line}" for line in listing.lines or ("pass",)),
            f"    return np.broadcast_to({listing.value}, shape), np.broadcast_to({listing.slope}, shape)",
        ]
        functions.append("\n".join(lines))
    text = "".join(functions)
    helpers = [h for name, h in (("_sigmoid(", _SIGMOID), ("_inside(", _INSIDE)) if name in text]
    title = f'"""Loss: {formula}\n\n{NOTE}\n"""'
    return "\n\n\n".join([f"{title}\n\nimport numpy as np", *helpers, *functions]) + "\n"
