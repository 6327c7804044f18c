"""Writes a loss as a C99 header: static inline functions that return the value and store the slope."""

from __future__ import annotations

from hashlib import sha256

from lossdsl.formula import Formula
from lossdsl.targets.listing import NOTE, arguments, function_name, listed, programs

_TEMPLATES = {
    "neg": "-{0}", "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}",
    "abs": "fabs({0})", "sign": "lossdsl_sign({0})", "relu": "lossdsl_max({0}, 0.0)", "sqrt": "sqrt({0})",
    "exp": "exp({0})", "expm1": "expm1({0})", "log": "log({0})", "log1p": "log1p({0})",
    "sigmoid": "lossdsl_sigmoid({0})", "logsigmoid": "lossdsl_logsigmoid({0})", "tanh": "tanh({0})",
    "pow": "pow({0}, {1})", "min": "lossdsl_min({0}, {1})", "max": "lossdsl_max({0}, {1})",
    "clamp": "lossdsl_min(lossdsl_max({0}, {1}), {2})",
    "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}", "ge": "{0} >= {1}", "eq": "{0} == {1}",
    "select": "{0} ? {1} : {2}", "mix": "{0} * {1} + (1.0 - {0}) * {2}",
}  # fmt: skip

# Each guarded by itself, so that the headers of two losses go into one file. fmin and fmax would drop a NaN.
_HELPERS = {
    "sign": "double x) { return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x; }",
    "max": "double a, double b) { return a > b || a != a ? a : b; }",
    "min": "double a, double b) { return a < b || a != a ? a : b; }",
    "sigmoid": "double x) { double t = exp(-fabs(x)); return x >= 0.0 ? 1.0 / (1.0 + t) : t / (1.0 + t); }",
    "logsigmoid": "double x) { return (x > 0.0 ? 0.0 : x) - log1p(exp(-fabs(x))); }",
    "inside": (
        "double p) { return p < 2.2250738585072014e-308 ? 2.2250738585072014e-308 : "
        "p > 0.9999999999999999 ? 0.9999999999999999 : p; }"
    ),
}


def source(formula: Formula, pairwise: bool = False) -> str:
    """A header with a function of pred and one of score.

    A pred outside [0, 1] gives NaN, since C has no exception to raise.

    >>> from lossdsl.formula import parse
    >>> print(source(parse("mse")).split("NAN; }")[1].split("}")[0].strip())
    pred = lossdsl_inside(pred);
        double v0 = label - pred;
        double v1 = v0 * v0;
        double v2 = v0 * 2.0;
        double v3 = -v2;
        *slope = v3;
        return v1;
    """
    functions = []
    for axis, program in programs(formula, pairwise).items():
        listing = listed(program, _TEMPLATES)
        name = function_name(formula, axis)
        given = ", ".join(f"double {a}" for a in arguments(program))
        lines = [
            f"/* Value of the loss; *slope becomes d loss / d {axis}. */",
            f"static inline double {name}({given}, double *slope) {{",
            *(
                ["    if (pred < 0.0 || pred > 1.0) { return *slope = NAN; }", "    pred = lossdsl_inside(pred);"]
                if axis == "pred"
                else []
            ),
            *(f"    double {line};" for line in listing.lines),
            *([f"    (void){axis};"] if axis not in "".join(listing.lines) else []),
            f"    *slope = {listing.slope};",
            f"    return {listing.value};",
            "}",
        ]
        functions.append("\n".join(lines))
    text = "\n\n".join(functions)
    helpers = [
        f"#ifndef LOSSDSL_{name.upper()}\n#define LOSSDSL_{name.upper()}\n"
        f"static inline double lossdsl_{name}({body}\n#endif"
        for name, body in _HELPERS.items()
        if f"lossdsl_{name}(" in text
    ]
    # Of another loss by the same name, a compiler is to say that it is there twice; it must not be left out in silence.
    digest = sha256(f"{formula} {pairwise}".encode()).hexdigest()[:16].upper()
    guard = f"LOSSDSL_LOSS_{(formula.name or 'loss').upper()}_{digest}_H"
    # `*/` cannot occur: a formula has no comment, and `*` is never followed by `/`
    title = f"/* Loss: {formula}\n * {NOTE} */"
    return "\n\n".join([title, f"#ifndef {guard}\n#define {guard}\n#include <math.h>", *helpers, text, "#endif"]) + "\n"
