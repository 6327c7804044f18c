"""The formula at one label, spelled out in fourteen operations: the verifier's own reading of the language.

Every part of the formula is kept, whether its value is used or not, because each has to be defined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, walk
from lossdsl.verifier.limits import Rejected

EPSILON = Fraction(1, 10**6)
KINKED = ("max", "min", "abs", "sign", "if")
MAX_WHOLE_POWER = 32


@dataclass(frozen=True)
class Term:
    """One operation on earlier terms.

    `const` (value) · `x` · `free` (a label or parameter that is not fixed, in `name`) · `add mul neg inv log exp` ·
    `whole` (a whole power >= 0, in value) · `power` (one that is not whole) · `max min` (difference, a, b) ·
    `abs sign` · `if` (difference, then, else; the relation in `name`).
    """

    op: str
    args: tuple[int, ...] = ()
    value: Fraction | None = None
    name: str = ""


@dataclass
class Terms:
    """The terms in order of evaluation; the last one of `root` is the loss."""

    items: list[Term] = field(default_factory=list)
    root: int = -1
    _place: dict[Term, int] = field(default_factory=dict)

    def put(self, op: str, *args: int, value: Fraction | None = None, name: str = "") -> int:
        term = Term(op, args, value, name)
        place = self._place.get(term)
        if place is None:
            place = self._place[term] = len(self.items)
            self.items.append(term)
        return place

    def const(self, value: Fraction | int) -> int:
        value = Fraction(value)
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > 4096:
            raise Rejected("a constant of the formula has too many digits")
        return self.put("const", value=value)

    def known(self, place: int) -> Fraction | None:
        term = self.items[place]
        return term.value if term.op == "const" else None

    # Constants are folded in sums, products and signs alone, so that exponents and epsilons become numbers.

    def add(self, a: int, b: int) -> int:
        u, v = self.known(a), self.known(b)
        return self.const(u + v) if u is not None and v is not None else self.put("add", a, b)

    def mul(self, a: int, b: int) -> int:
        u, v = self.known(a), self.known(b)
        return self.const(u * v) if u is not None and v is not None else self.put("mul", a, b)

    def neg(self, a: int) -> int:
        u = self.known(a)
        return self.const(-u) if u is not None else self.put("neg", a)

    def inv(self, a: int) -> int:
        u = self.known(a)
        return self.const(1 / u) if u else self.put("inv", a)

    def sub(self, a: int, b: int) -> int:
        return self.const(0) if a == b else self.add(a, self.neg(b))

    def power(self, a: int, b: int) -> int:
        q = self.known(b)
        if q is None:
            return self.put("exp", self.mul(b, self.put("log", a)))
        if q.denominator == 1 and abs(q) <= MAX_WHOLE_POWER:
            return self.whole(a, int(q)) if q >= 0 else self.inv(self.whole(a, -int(q)))
        return self.put("power", a, value=q)

    def whole(self, a: int, n: int) -> int:
        if n == 0:
            return self.const(1)
        u = self.known(a)
        return self.const(u**n) if u is not None else a if n == 1 else self.put("whole", a, value=Fraction(n))

    def extreme(self, op: str, a: int, b: int) -> int:
        return a if a == b else self.put(op, self.sub(a, b), a, b)

    def sigmoid(self, a: int) -> int:
        return self.inv(self.add(self.const(1), self.put("exp", self.neg(a))))

    def softplus(self, a: int) -> int:
        return self.put("log", self.add(self.const(1), self.put("exp", a)))

    def score(self) -> int:
        x = self.put("x")
        return self.sub(self.put("log", x), self.put("log", self.sub(self.const(1), x)))

    def apply(self, op: str, a: tuple[int, ...]) -> int:
        """The term of an operator of the language."""
        if op == "add":
            return self.add(*a)
        if op == "sub":
            return self.sub(*a)
        if op == "mul":
            return self.mul(*a)
        if op == "div":
            return self.mul(a[0], self.inv(a[1]))
        if op == "neg":
            return self.neg(*a)
        if op == "pow":
            return self.power(*a)
        if op == "square":
            return self.whole(a[0], 2)
        if op == "reciprocal":
            return self.inv(*a)
        if op == "sqrt":
            return self.put("power", a[0], value=Fraction(1, 2))
        if op in ("log", "exp", "abs", "sign"):
            return self.put(op, *a)
        if op == "log1p":
            return self.put("log", self.add(self.const(1), a[0]))
        if op == "expm1":
            return self.add(self.put("exp", a[0]), self.const(-1))
        if op == "sigmoid":
            return self.sigmoid(*a)
        if op == "softplus":
            return self.softplus(*a)
        if op == "logsigmoid":
            return self.neg(self.softplus(self.neg(a[0])))
        if op == "tanh":
            # 1 - 2/(1 + exp 2u), which is 2 sigmoid(2u) - 1
            above = self.add(self.const(1), self.put("exp", self.mul(self.const(2), a[0])))
            return self.add(self.const(1), self.mul(self.const(-2), self.inv(above)))
        if op == "relu":
            return self.extreme("max", a[0], self.const(0))
        if op in ("min", "max"):
            result = a[0]
            for other in a[1:]:
                result = self.extreme(op, result, other)
            return result
        if op == "clamp":
            return self.extreme("min", self.extreme("max", a[0], a[1]), a[2])
        if op in ("plog", "pinv", "psqrt"):
            size = self.add(self.put("abs", a[0]), a[1] if len(a) > 1 else self.const(EPSILON))
            if op == "pinv":
                inner = self.inv(size)
            elif op == "plog":
                inner = self.put("log", size)
            else:
                inner = self.put("power", size, value=Fraction(1, 2))
            return self.mul(self.put("sign", a[0]), inner)
        raise Rejected(f"the verifier does not know the operator {op}")


def spell(tree: Tree, label: int | None, ranged: bool = False) -> Terms:
    """The terms of a formula at label 0 or 1, in x = pred; score is log x - log(1 - x).

    Without a label, `label` is a free name; `ranged`: so is a parameter that has a range.

    >>> from lossdsl.grammar.parser import read
    >>> [t.op for t in spell(read("max(pred, 0)").tree, 1).items]
    ['x', 'const', 'add', 'max']
    """
    terms = Terms()
    values = {b.name: b.value for b in tree.where}
    place: dict[Node, int] = {}
    for node in walk(tree.root):
        if isinstance(node, Number):
            place[node] = terms.const(node.value)
        elif isinstance(node, Name):
            if node.name == "pred":
                place[node] = terms.put("x")
            elif node.name == "label":
                place[node] = terms.put("free", name="label") if label is None else terms.const(label)
            elif node.name == "score":
                place[node] = terms.score()
            else:
                value = values.get(node.name)
                if value is None and ranged and node.name in values:
                    place[node] = terms.put("free", name=node.name)
                    continue
                if value is None:
                    raise Rejected(f"the parameter {node.name} has no single value")
                place[node] = terms.const(value)
        elif isinstance(node, Apply):
            args = tuple(place[a] for a in node.args)
            if node.op in ("lt", "le", "gt", "ge"):
                place[node] = terms.sub(*args)
            elif node.op == "if":
                condition = node.args[0]
                assert isinstance(condition, Apply)
                place[node] = terms.put("if", *args, name=condition.op)
            else:
                place[node] = terms.apply(node.op, args)
    terms.root = place[tree.root]
    return terms


def holds(relation: str, sign: int) -> bool:
    """Whether a comparison holds where `sign` is the sign of left minus right."""
    return {"lt": sign < 0, "le": sign <= 0, "gt": sign > 0, "ge": sign >= 0}[relation]
