r"""A tree as LaTeX: what was written, nothing simplified. Reading it back gives an equal function."""

from __future__ import annotations

import re
from fractions import Fraction

from lossdsl.grammar.dialects.latex_scan import CONDITION_WORDS, GREEK
from lossdsl.grammar.numerals import write_constant, write_decimal
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, walk

_COMPARE, _SUM, _PRODUCT, _UNARY, _FUNCTION, _POWER, _ATOM = range(7)
_SIGNS = {"lt": "<", "le": r"\leq", "gt": ">", "ge": r"\geq"}
_COMMANDS = {"log": r"\log", "exp": r"\exp", "tanh": r"\tanh", "min": r"\min", "max": r"\max"}
_SUBSCRIPT = re.compile("([A-Za-z]+)_([A-Za-z0-9]+)")
_SCIENTIFIC = re.compile(r"(?:(?P<digits>[\d.]+)|)e(?P<power>-?\d+)\Z")

Text = tuple[int, str]


def write_latex(tree: Tree) -> str:
    r"""`-y \log\left(\hat{y}\right)`, with `\text{where }` and the parameters behind it."""
    writer = _Writer({b.name for b in tree.where})
    texts: dict[Node, Text] = {}
    for node in walk(tree.root):
        texts[node] = writer.write(node, [texts[a] for a in node.args] if isinstance(node, Apply) else [])
    out = texts[tree.root][1]
    if tree.where:
        parts = [
            f"{writer.parameter(b.name)} = {write_constant(b.low)}"
            if b.low == b.high
            else rf"{writer.parameter(b.name)} \in [{write_constant(b.low)}, {write_constant(b.high)}]"
            for b in tree.where
        ]
        out += r" \quad \text{where } " + r",\; ".join(parts)
    return out


def _at(text: Text, level: int) -> str:
    return text[1] if text[0] >= level else _bracket(text[1])


def _behind(text: Text, level: int) -> str:
    return _bracket(text[1]) if text[1].startswith("-") else _at(text, level)


def _bracket(text: str) -> str:
    return rf"\left({text}\right)"


class _Writer:
    def __init__(self, parameters: set[str]) -> None:
        self.parameters = parameters
        # A parameter may be called y or s; then the variables are spelled out.
        self.variables = {
            "pred": r"\hat{y}",
            "label": "y" if "y" not in parameters else r"\mathrm{label}",
            "score": "s" if "s" not in parameters else r"\mathrm{score}",
        }

    def parameter(self, name: str) -> str:
        """`gamma` is a Greek letter, `gamma_pos` one with an index, any other name a word."""
        if name in GREEK:
            return f"\\{name}"
        if len(name) == 1 and name.isalpha():
            return name
        parts = _SUBSCRIPT.fullmatch(name)
        if parts and parts[1] in GREEK and parts[1] not in self.parameters and parts[2] not in self.parameters:
            return rf"\{parts[1]}_{{{parts[2]}}}"
        # \mathrm{for} would be read as the word of a condition
        font = "operatorname" if name in CONDITION_WORDS else "mathrm"
        escaped = name.replace("_", r"\_")
        return rf"\{font}{{{escaped}}}"

    def write(self, node: Node, args: list[Text]) -> Text:
        if isinstance(node, Name):
            return _ATOM, self.variables[node.name] if node.name in self.variables else self.parameter(node.name)
        if isinstance(node, Number):
            return self.number(node.value)
        assert isinstance(node, Apply)
        op = node.op
        if op == "add":
            return _SUM, f"{_at(args[0], _SUM)} + {_behind(args[1], _PRODUCT)}"
        if op == "sub":
            return _SUM, f"{_at(args[0], _SUM)} - {_behind(args[1], _PRODUCT)}"
        if op == "mul":
            return self.product(*args)
        if op == "div":
            return _FUNCTION, rf"\frac{{{args[0][1]}}}{{{args[1][1]}}}"
        if op == "neg":
            return _UNARY, f"-{_behind(args[0], _UNARY)}"
        if op in ("pow", "square"):
            exponent = args[1][1] if op == "pow" else "2"
            return _POWER, f"{_at(args[0], _ATOM)}^{{{exponent}}}"
        if op in _SIGNS:
            return _COMPARE, f"{_at(args[0], _SUM)} {_SIGNS[op]} {_at(args[1], _SUM)}"
        if op == "if":
            return self.cases(node, args)
        return _FUNCTION, self.function(op, args)

    def number(self, value: Fraction) -> Text:
        text = write_decimal(value)
        if text is None:
            return _FUNCTION, rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
        match = _SCIENTIFIC.match(text)
        if match is None or abs(int(match["power"])) > 16:  # exponents are limited, literals are not
            return _ATOM, text
        power = f"10^{{{match['power']}}}"
        return (_POWER, power) if match["digits"] == "1" else (_PRODUCT, rf"{match['digits']} \cdot {power}")

    def product(self, left: Text, right: Text) -> Text:
        """Juxtaposed, but for numbers, which could run into what stands before them."""
        one, other = _at(left, _PRODUCT), _behind(right, _UNARY)
        return _PRODUCT, rf"{one} \cdot {other}" if other[0].isdigit() or other[0] == "." else f"{one} {other}"

    def function(self, op: str, args: list[Text]) -> str:
        inside = ", ".join(a[1] for a in args)
        if op == "abs":
            return rf"\left|{inside}\right|"
        if op == "sqrt":
            return rf"\sqrt{{{inside}}}"
        if op == "reciprocal":
            return rf"\frac{{1}}{{{inside}}}"
        if op == "sigmoid" and "sigma" not in self.parameters:
            return rf"\sigma{_bracket(inside)}"
        assert OPERATORS[op].is_function
        command = _COMMANDS.get(op) or rf"\operatorname{{{op}}}"
        return command + _bracket(inside)

    def cases(self, node: Apply, args: list[Text]) -> Text:
        rows = rf"{args[1][1]} & \text{{if }} {args[0][1]} \\ {args[2][1]} & \text{{otherwise}}"
        return _FUNCTION, rf"\begin{{cases}} {rows} \end{{cases}}"
