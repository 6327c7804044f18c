"""A tree as Python code with PyTorch's functions; reading it back gives an equal function."""

from __future__ import annotations

from keyword import iskeyword

from lossdsl.errors import LossError
from lossdsl.grammar.numerals import write_constant, write_decimal
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import VARIABLES, Apply, Name, Node, Number, Tree, names, walk

_COMPARE, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(6)
_INFIX = {"add": (" + ", _SUM), "sub": (" - ", _SUM), "mul": ("*", _PRODUCT), "div": ("/", _PRODUCT)}
_TORCH = {
    **{n: f"torch.{n}" for n in ("log", "log1p", "exp", "expm1", "sqrt", "square", "reciprocal", "abs", "sign")},
    **{n: f"torch.{n}" for n in ("sigmoid", "tanh", "relu")},
    "logsigmoid": "F.logsigmoid",
    "softplus": "F.softplus",
}  # fmt: skip
# torch's functions take tensors; a part without variables is a plain number.
_MATH = {n: f"math.{n}" for n in ("log", "log1p", "exp", "expm1", "sqrt", "tanh")} | {"abs": "abs"}
_PROTECTED = {"plog": "torch.log({})", "psqrt": "torch.sqrt({})", "pinv": "torch.reciprocal({})"}

Text = tuple[int, str]


def write_python(tree: Tree) -> str:
    """`-label*torch.log(pred)`, with the `where` of lossdsl behind it."""
    parameters = {b.name for b in tree.where}
    for name in sorted(parameters):
        if iskeyword(name):
            raise LossError(f"the parameter `{name}` is a keyword of Python and cannot be written there")
    texts: dict[Node, Text] = {}
    for node in walk(tree.root):
        texts[node] = _write(node, [texts[a] for a in node.args] if isinstance(node, Apply) else [], parameters)
    return texts[tree.root][1] + where_text(tree)


def where_text(tree: Tree) -> str:
    """` where gamma = 2`, or nothing."""
    parts = [
        f"{b.name} = {write_constant(b.low)}"
        if b.low == b.high
        else f"{b.name} in [{write_constant(b.low)}, {write_constant(b.high)}]"
        for b in tree.where
    ]
    return " where " + ", ".join(parts) if parts else ""


def _at(text: Text, level: int) -> str:
    return text[1] if text[0] >= level else f"({text[1]})"


def _behind(text: Text, level: int) -> str:
    return f"({text[1]})" if text[1].startswith("-") else _at(text, level)


def _write(node: Node, args: list[Text], parameters: set[str]) -> Text:
    if isinstance(node, Name):
        return _ATOM, node.name
    if isinstance(node, Number):
        return _ATOM, write_decimal(node.value) or f"({write_constant(node.value) or node.value})"
    assert isinstance(node, Apply)
    op = node.op
    if op in _INFIX:
        sign, level = _INFIX[op]
        return level, f"{_at(args[0], level)}{sign}{_behind(args[1], level + 1)}"
    if op == "neg":
        return _UNARY, f"-{_behind(args[0], _UNARY)}"
    if op == "pow":
        return _POWER, f"{_at(args[0], _ATOM)}**{_behind(args[1], _POWER)}"
    if OPERATORS[op].boolean:
        return _COMPARE, f"{_at(args[0], _SUM)} {OPERATORS[op].infix} {_at(args[1], _SUM)}"
    constant = [not (names(a) & set(VARIABLES)) for a in node.args]
    if op == "if":
        if constant[0]:
            return _ATOM, f"({_at(args[1], _SUM)} if {args[0][1]} else {_at(args[2], _SUM)})"
        return _ATOM, f"torch.where({args[0][1]}, {args[1][1]}, {args[2][1]})"
    if op in ("min", "max"):
        return _extreme(op, args, constant)
    if op == "clamp":
        return _clamp(args, constant)
    if op in _PROTECTED:
        return _protected(op, args)
    function = _MATH.get(op) if constant[0] else None
    return _ATOM, f"{function or _TORCH[op]}({args[0][1]})"


def _extreme(op: str, args: list[Text], constant: list[bool]) -> Text:
    """Two at a time, as torch has it; a number is a bound of `clamp`, since `torch.maximum` takes tensors only."""
    text, fixed = args[0][1], constant[0]
    for other, other_fixed in zip(args[1:], constant[1:]):
        if fixed and other_fixed:
            text = f"{op}({text}, {other[1]})"
        elif fixed or other_fixed:
            tensor, bound = (other[1], text) if fixed else (text, other[1])
            text = f"torch.clamp({tensor}, {'min' if op == 'max' else 'max'}={bound})"
        else:
            text = f"torch.{op}imum({text}, {other[1]})"
        fixed = fixed and other_fixed
    return _ATOM, text


def _clamp(args: list[Text], constant: list[bool]) -> Text:
    x, low, high = (a[1] for a in args)
    if constant[1] == constant[2] and not (constant[0] and not constant[1]):
        return _ATOM, f"torch.clamp({x}, {low}, {high})"
    _, raised = _extreme("max", args[:2], constant[:2])
    return _extreme("min", [(_ATOM, raised), args[2]], [constant[0] and constant[1], constant[2]])


def _protected(op: str, args: list[Text]) -> Text:
    """sign(x) times the logarithm, the root or the reciprocal of |x| + epsilon."""
    x = args[0][1]
    epsilon = _behind(args[1], _PRODUCT) if len(args) == 2 else "1e-6"
    return _PRODUCT, f"torch.sign({x})*{_PROTECTED[op].format(f'torch.abs({x}) + {epsilon}')}"
