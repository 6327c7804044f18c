"""Limits, looked at before anything is built from a formula.

They admit every graph of ten operators with a clamp around each (716 nodes; see the test), and keep whatever comes
after the parser, recursion included, on inputs that it can finish.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from lossdsl.errors import LossError, LossSyntaxError, Span
from lossdsl.grammar.numerals import write_constant, write_decimal
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import VARIABLES, Apply, Name, Node, Number, Tree, names, walk

# Ten nested `max`, each in `clamp(…, 1e-5, 1e5)`, take 4,295 characters in canonical spelling; 4,096 would refuse them.
MAX_CHARACTERS = 8192
MAX_BRACKETS = 64
MAX_NODES = 1000
MAX_DISTINCT = 256
MAX_DEPTH = 128
MAX_EXPONENT = 16
# Powers of powers multiply: 4096 admits twelve squares in a row, and stops a tower before anything expands it.
MAX_DEGREE = 4096
_MAX_BITS = 4096
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
PROTECTED = ("plog", "pinv", "psqrt")


@dataclass(frozen=True)
class Breach:
    """What is over a limit, and the node where it shows."""

    code: str
    message: str
    node: Node | None
    hint: str


def check_text(text: str) -> None:
    """Raise `LossSyntaxError` where a text is too long or its brackets too deep to be read at all."""
    if len(text) > MAX_CHARACTERS:
        raise LossSyntaxError(
            "LD030",
            f"the formula has {len(text):,} characters, more than {MAX_CHARACTERS:,}",
            text,
            Span(MAX_CHARACTERS, MAX_CHARACTERS + 1),
            "a formula is one line; put several in a file, one a line, and use -f FILE",
        )
    depth = 0
    for found in re.finditer(r"[()]", text):
        depth += 1 if found.group() == "(" else -1
        if depth > MAX_BRACKETS:
            raise LossSyntaxError(
                "LD031",
                f"brackets are nested more than {MAX_BRACKETS} deep",
                text,
                Span(found.start(), found.end()),
                "leave out brackets that change nothing, or split the formula",
            )


def breach(tree: Tree) -> Breach | None:
    """The first limit that a tree breaks, or None.

    >>> from lossdsl.grammar.limits import breach
    >>> from lossdsl.grammar.tree import Apply, Name, Number, Tree
    >>> from fractions import Fraction
    >>> breach(Tree(Apply("pow", (Name("pred"), Number(Fraction(17)))))).code
    'LD036'
    """
    count: dict[Node, int] = {}
    depth: dict[Node, int] = {}
    found = _size(tree.root, count, depth)
    if found is not None:
        return found
    deep, many = depth[tree.root] > MAX_BRACKETS, count[tree.root] + 9 * len(tree.where) > 150
    if deep or many or any(isinstance(node, Name) and len(node.name) > 30 for node in count):
        found = _unreadable(tree)
        if found is not None:
            return found
    return _powers(tree)


def _size(root: Node, count: dict[Node, int], depth: dict[Node, int]) -> Breach | None:
    for node in walk(root):
        args = node.args if isinstance(node, Apply) else ()
        count[node] = 1 + sum(count[a] for a in args)
        depth[node] = 1 + max((depth[a] for a in args), default=0)
        if count[node] > MAX_NODES:
            return Breach("LD032", f"the formula has more than {MAX_NODES:,} parts", node, "shorten or split it")
        if len(count) > MAX_DISTINCT:
            return Breach("LD033", f"the formula has more than {MAX_DISTINCT} different parts", node, "shorten it")
        if depth[node] > MAX_DEPTH:
            return Breach(
                "LD037",
                f"operators are nested more than {MAX_DEPTH} deep",
                node,
                "shorten the formula; in a long sum, add up the constants first",
            )
    return None


def _unreadable(tree: Tree) -> Breach | None:
    """Whether the canonical text is over a limit of texts: `|x|` becomes `abs(x)`, and dialects write less."""
    from lossdsl.grammar.printer import show

    text = show(tree)
    if len(text) > MAX_CHARACTERS:
        message = f"the formula has {len(text):,} characters written out, more than {MAX_CHARACTERS:,}"
        return Breach("LD030", message, tree.root, "shorten it, or split it")
    depth = 0
    for found in re.finditer(r"[()]", text):
        depth += 1 if found.group() == "(" else -1
        if depth > MAX_BRACKETS:
            message = f"brackets are nested more than {MAX_BRACKETS} deep"
            return Breach("LD031", message, tree.root, "shorten the formula, or split it")
    return None


def _powers(tree: Tree) -> Breach | None:
    envs = [{b.name: b.low for b in tree.where}, {b.name: b.high for b in tree.where}]
    values: list[dict[Node, Fraction | str | None]] = [{}, {}]
    degree: dict[Node, Fraction] = {}
    for node in walk(tree.root):
        for env, known in zip(envs, values):
            known[node] = _constant(node, env, known)
        if not isinstance(node, Apply):
            degree[node] = Fraction(1)
            continue
        degree[node] = max(degree[a] for a in node.args)
        if node.op == "square":
            degree[node] *= 2
        if node.op == "pow":
            for known in values:
                exponent = known[node.args[1]]
                if exponent == "huge" or (isinstance(exponent, Fraction) and abs(exponent) > MAX_EXPONENT):
                    return Breach(
                        "LD036",
                        f"the exponent is beyond {MAX_EXPONENT} in size",
                        node.args[1],
                        "write exp(n*log(x)) for a power as steep as that",
                    )
                if isinstance(exponent, Fraction) and abs(exponent) > 1:
                    degree[node] = max(degree[node], degree[node.args[0]] * abs(exponent))
        if degree[node] > MAX_DEGREE:
            return Breach(
                "LD038",
                f"powers of powers multiply to more than {MAX_DEGREE:,}",
                node,
                "multiply the exponents out, and write exp(n*log(x)) for a power as steep as that",
            )
    return None


def _constant(node: Node, env: dict[str, Fraction], known: dict[Node, Fraction | str | None]) -> Fraction | str | None:
    """The rational value of a part without variables; `huge` beyond the size worth computing; None where unknown."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return env.get(node.name)
    if not isinstance(node, Apply) or node.op not in ("add", "sub", "mul", "div", "neg", "pow", "square"):
        return None
    args = [known[a] for a in node.args]
    if "huge" in args:
        return "huge"
    numbers = [a for a in args if isinstance(a, Fraction)]
    if len(numbers) < len(args):
        return None
    x, y = numbers[0], numbers[-1]
    if node.op == "square":
        y = Fraction(2)
    if node.op in ("pow", "square"):
        if y.denominator != 1 or (x == 0 and y < 0):
            return None
        bits = max(x.numerator.bit_length(), x.denominator.bit_length())
        if bits * abs(y) > _MAX_BITS and abs(x) != 1:
            return "huge"
        return x ** int(y)
    if node.op == "neg":
        return -x
    if node.op == "div":
        result = x / y if y else None
    else:
        result = x + y if node.op == "add" else x - y if node.op == "sub" else x * y
    if result is not None and max(result.numerator.bit_length(), result.denominator.bit_length()) > _MAX_BITS:
        return "huge"
    return result


def check_size(root: Node, source: str) -> None:
    """Raise `LossSyntaxError` where a tree is too large or too deep; its operators need not be the language's yet."""
    _raise(_size(root, {}, {}), source)


def check_tree(tree: Tree, source: str) -> None:
    """Raise `LossSyntaxError` where a tree that was read from `source` breaks a limit."""
    _raise(breach(tree), source)


def _raise(found: Breach | None, source: str) -> None:
    if found is not None:
        span = found.node.span if found.node is not None and found.node.span else Span(0, len(source))
        raise LossSyntaxError(found.code, found.message, source, span, found.hint)


def refuse(tree: Tree) -> None:
    """Raise `LossError` where the text of a tree made by a program would not read back as that tree."""
    from lossdsl.grammar.naming import FUNCTIONS

    found = breach(tree)
    if found is not None:
        raise LossError(f"{found.code} {found.message}\n  hint: {found.hint}")
    bound: set[str] = set()
    for binding in tree.where:
        name = binding.name
        if not _NAME.fullmatch(name) or name in VARIABLES or name in FUNCTIONS or name in ("where", "in"):
            raise LossError(f"`{name}` cannot name a parameter")
        if name in bound:
            raise LossError(f"`{name}` is given a value twice")
        if binding.low > binding.high:
            raise LossError(f"the range of `{name}` is empty")
        if write_constant(binding.low) is None or write_constant(binding.high) is None:
            raise LossError(f"the value of `{name}` cannot be written within the limits of numbers")
        bound.add(name)
    for node in walk(tree.root):
        if isinstance(node, Number) and write_decimal(node.value) is None:
            raise LossError(f"{node.value} is no decimal number within the limits; write a quotient as a `div`")
        if isinstance(node, Name) and node.name not in bound and node.name not in VARIABLES:
            raise LossError(f"`{node.name}` has no value")
        if isinstance(node, Apply):
            _refuse_apply(node)
    if isinstance(tree.root, Apply) and OPERATORS[tree.root.op].boolean:
        raise LossError("a comparison is no loss")
    missing = bound - names(tree.root)
    if missing:
        raise LossError(f"the formula has no parameter `{min(missing)}`")


def _refuse_apply(node: Apply) -> None:
    row = OPERATORS.get(node.op)
    if row is None:
        raise LossError(f"unknown operator `{node.op}`")
    if len(node.args) < row.low or (row.high is not None and len(node.args) > row.high):
        raise LossError(f"`{node.op}` with {len(node.args)} arguments")
    for position, arg in enumerate(node.args):
        boolean = isinstance(arg, Apply) and arg.op in OPERATORS and OPERATORS[arg.op].boolean
        if boolean != (node.op == "if" and position == 0):
            raise LossError("a comparison belongs into the condition of an `if`, and nothing else does")
    if node.op in PROTECTED and len(node.args) == 2 and any(v in names(node.args[1]) for v in VARIABLES):
        raise LossError(f"the epsilon of `{node.op}` is not constant")
