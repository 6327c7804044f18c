"""A formula at one label: a flat, hash-consed list of a dozen core operations on exact rationals.

Every operator of the language is spelled out here once, so that the rest of the engine knows the core only. Nothing is
simplified but arithmetic on constants: `x/x` and `0*log(x)` must keep what they ask of their domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from flint import fmpq

from lossdsl.grammar.tree import Apply, Name, Node, Number, walk
from lossdsl.prover.limits import Undecided

EPSILON = fmpq(1, 10**6)
ZERO, ONE, HALF = fmpq(0), fmpq(1), fmpq(1, 2)
MAX_CONSTANT_BITS = 4096
# Beyond it a whole exponent is treated as exp(q log x), which needs no expanded polynomial.
MAX_POWER = 32


def exact(value: Fraction | int) -> fmpq:
    """The same number for FLINT."""
    return fmpq(value.numerator, value.denominator)


def fraction(value: fmpq) -> Fraction:
    """The same number for Python."""
    return Fraction(int(value.p), int(value.q))


@dataclass(frozen=True, slots=True)
class Term:
    """One operation on earlier terms.

    `const` (value) · `x` · `free` (name of a parameter) · `add mul` · `neg inv log exp abs sign` · `power` (value is
    the exponent) · `tower` (both vary) · `max min` · `select` (difference, then, else; relation in `name`).
    """

    op: str
    args: tuple[int, ...] = ()
    value: fmpq | None = None
    name: str = ""


# What a term asks for beyond being computable from finite numbers.
OBLIGING = frozenset({"inv", "log", "power", "tower"})


@dataclass
class Terms:
    """The list of terms; `origin[i]` is the node of the formula that term `i` came from."""

    score: bool
    items: list[Term] = field(default_factory=list)
    origin: list[Node | None] = field(default_factory=list)
    root: int = -1
    _index: dict[object, int] = field(default_factory=dict)
    node: Node | None = None
    """The node of the formula that terms are made for at the moment."""

    def needed(self) -> list[int]:
        """The terms that the value or an obligation depends on, in order of evaluation."""
        wanted: set[int] = set()
        stack = [self.root, *(i for i, t in enumerate(self.items) if t.op in OBLIGING)]
        while stack:
            i = stack.pop()
            if i not in wanted:
                wanted.add(i)
                stack.extend(self.items[i].args)
        return sorted(wanted)

    def put(self, op: str, *args: int, value: fmpq | None = None, name: str = "") -> int:
        """The place of a term, which is made if it is new."""
        key = (op, args, name) if value is None else (op, args, int(value.p), int(value.q))
        place = self._index.get(key)
        if place is None:
            place = self._index[key] = len(self.items)
            self.items.append(Term(op, args, value, name))
            self.origin.append(self.node)
        return place

    def constant(self, value: fmpq) -> int:
        key = (int(value.p), int(value.q))
        place = self._index.get(key)
        if place is None:
            if key[0].bit_length() + key[1].bit_length() > MAX_CONSTANT_BITS:
                raise Undecided("a constant has too many digits")
            place = self._index[key] = self.put("const", value=value)
        return place

    def known(self, place: int) -> fmpq | None:
        """The value of a constant term."""
        term = self.items[place]
        return term.value if term.op == "const" else None

    # -- the core, with constants folded -------------------------------------------------------------------------

    def add(self, a: int, b: int) -> int:
        u, v = self.known(a), self.known(b)
        if u is not None and v is not None:
            return self.constant(u + v)
        if u is not None and u == 0:
            return b
        if v is not None and v == 0:
            return a
        return self.put("add", *sorted((a, b)))

    def neg(self, a: int) -> int:
        u = self.known(a)
        if u is not None:
            return self.constant(-u)
        if self.items[a].op == "neg":
            return self.items[a].args[0]
        return self.put("neg", a)

    def sub(self, a: int, b: int) -> int:
        return self.add(a, self.neg(b))

    def mul(self, a: int, b: int) -> int:
        u, v = self.known(a), self.known(b)
        if u is not None and v is not None:
            return self.constant(u * v)
        for factor, other in ((u, b), (v, a)):
            if factor is not None and factor == 1:
                return other
            if factor is not None and factor == -1:
                return self.neg(other)
        # 0*x is kept out of the list, x is not: what x obliges to stands in the list whatever becomes of its value.
        if (u is not None and u == 0) or (v is not None and v == 0):
            return self.constant(ZERO)
        if a == b:
            return self.power(a, fmpq(2))
        return self.put("mul", *sorted((a, b)))

    def inv(self, a: int) -> int:
        u = self.known(a)
        return self.constant(1 / u) if u is not None and u != 0 else self.put("inv", a)

    def div(self, a: int, b: int) -> int:
        return self.mul(a, self.inv(b))

    def power(self, a: int, q: fmpq) -> int:
        u = self.known(a)
        if q == 1:
            return a
        if q.q == 1 and abs(int(q.p)) <= MAX_POWER:
            n = int(q.p)
            if n < 0:
                return self.inv(self.power(a, -q))
            if n == 0:
                return self.constant(ONE)  # 0^0 = 1, as floats have it
            if u is not None:
                return self.constant(u**n)
        if u is not None and (u == 1 or (u == 0 and q > 0)):
            return a
        return self.put("power", a, value=q)

    def tower(self, a: int, b: int) -> int:
        q = self.known(b)
        if q is not None:
            return self.power(a, q)
        return self.put("tower", a, b)

    def log(self, a: int) -> int:
        u = self.known(a)
        return self.constant(ZERO) if u is not None and u == 1 else self.put("log", a)

    def exp(self, a: int) -> int:
        u = self.known(a)
        return self.constant(ONE) if u is not None and u == 0 else self.put("exp", a)

    def magnitude(self, a: int) -> int:
        u = self.known(a)
        return self.constant(abs(u)) if u is not None else self.put("abs", a)

    def sign(self, a: int) -> int:
        u = self.known(a)
        return self.constant(fmpq((u > 0) - (u < 0))) if u is not None else self.put("sign", a)

    def extreme(self, op: str, a: int, b: int) -> int:
        u, v = self.known(a), self.known(b)
        if a == b:
            return a
        if u is not None and v is not None:
            return self.constant(max(u, v) if op == "max" else min(u, v))
        return self.put(op, *sorted((a, b)))

    def select(self, relation: str, difference: int, a: int, b: int) -> int:
        u = self.known(difference)
        if a == b:
            return a
        if u is not None:
            return a if holds(relation, (u > 0) - (u < 0)) else b
        return self.put("select", difference, a, b, name=relation)

    # -- the language, spelled out in the core -------------------------------------------------------------------

    def build(self, op: str, a: tuple[int, ...]) -> int:
        """The term of an operator of the language on terms."""
        one = self.constant
        if op == "add":
            return self.add(*a)
        if op == "sub":
            return self.constant(ZERO) if a[0] == a[1] else self.sub(*a)
        if op == "mul":
            return self.mul(*a)
        if op == "div":
            return self.div(*a)
        if op == "neg":
            return self.neg(*a)
        if op == "pow":
            return self.tower(*a)
        if op == "square":
            return self.power(a[0], fmpq(2))
        if op == "reciprocal":
            return self.inv(*a)
        if op == "sqrt":
            return self.power(a[0], HALF)
        if op == "log":
            return self.log(*a)
        if op == "log1p":
            return self.log(self.add(a[0], one(ONE)))
        if op == "exp":
            return self.exp(*a)
        if op == "expm1":
            return self.add(self.exp(a[0]), one(-ONE))
        if op == "abs":
            return self.magnitude(*a)
        if op == "sign":
            return self.sign(*a)
        if op == "sigmoid":
            return self.sigmoid(a[0])
        if op == "logsigmoid":
            return self.neg(self.softplus(self.neg(a[0])))
        if op == "softplus":
            return self.softplus(a[0])
        if op == "tanh":
            twice = self.mul(one(fmpq(2)), a[0])
            return self.add(one(ONE), self.mul(one(fmpq(-2)), self.inv(self.add(one(ONE), self.exp(twice)))))
        if op == "relu":
            return self.extreme("max", a[0], one(ZERO))
        if op in ("min", "max"):
            result = a[0]
            for other in a[1:]:
                result = self.extreme(op, result, other)
            return result
        if op == "clamp":
            # Low bound first, then the high one: what PyTorch does when the bounds are crossed.
            return self.extreme("min", self.extreme("max", a[0], a[1]), a[2])
        if op in ("plog", "pinv", "psqrt"):
            size = self.add(self.magnitude(a[0]), a[1] if len(a) > 1 else one(EPSILON))
            inner = self.log(size) if op == "plog" else self.inv(size) if op == "pinv" else self.power(size, HALF)
            return self.mul(self.sign(a[0]), inner)
        raise Undecided(f"the operator {op} is not known to the prover")

    def sigmoid(self, a: int) -> int:
        return self.inv(self.add(self.constant(ONE), self.exp(self.neg(a))))

    def softplus(self, a: int) -> int:
        return self.log(self.add(self.constant(ONE), self.exp(a)))


def holds(relation: str, sign: int) -> bool:
    """Whether `a relation b` holds where `sign` is the sign of a - b."""
    return {"lt": sign < 0, "le": sign <= 0, "gt": sign > 0, "ge": sign >= 0}[relation]


def specialise(
    root: Node,
    label: Fraction | None,
    parameters: Mapping[str, Fraction],
    score: bool,
    free: tuple[str, ...] = (),
    frame: Callable[[Terms], dict[str, int]] | None = None,
) -> Terms:
    """The terms of a tree at one label, on the axis of score or of pred.

    `free` names parameters that stay symbols; `frame` makes the terms that label, pred and score stand for, where these
    are not what they are as a rule.

    >>> from lossdsl.grammar.tree import Apply, Name
    >>> terms = specialise(Apply("sub", (Name("label"), Name("pred"))), Fraction(1), {}, score=False)
    >>> [t.op for t in terms.items]
    ['const', 'x', 'neg', 'add']
    """
    terms = Terms(score)
    given = {} if frame is None else frame(terms)
    place: list[int] = []
    for node, args, value in script(root):
        terms.node = node
        if value is not None:
            place.append(terms.constant(value))
        elif isinstance(node, Apply):
            inner = tuple([place[a] for a in args])
            if node.op in ("lt", "le", "gt", "ge"):
                place.append(terms.sub(*inner))
            elif node.op == "if":
                condition = node.args[0]
                relation = condition.op if isinstance(condition, Apply) else "gt"
                place.append(terms.select(relation, *inner))
            else:
                place.append(terms.build(node.op, inner))
        elif isinstance(node, Name):
            place.append(_named(terms, node.name, label, parameters, free, given))
    terms.root = place[-1]
    return terms


def _named(
    terms: Terms,
    name: str,
    label: Fraction | None,
    parameters: Mapping[str, Fraction],
    free: tuple[str, ...],
    given: Mapping[str, int],
) -> int:
    """What a name stands for."""
    if name in given:
        return given[name]
    if name in free:
        return terms.put("free", name=name)
    if name == "label":
        if label is None:
            raise Undecided("the label is left open")
        return terms.constant(exact(label))
    if name == "score":
        return terms.put("x")
    if name == "pred":
        return terms.sigmoid(terms.put("x")) if terms.score else terms.put("x")
    if name in parameters:
        return terms.constant(exact(parameters[name]))
    raise Undecided(f"the name {name} has no value")


Script = tuple[tuple[Node, tuple[int, ...], "fmpq | None"], ...]
_SCRIPTS: dict[int, tuple[Node, Script, frozenset[str]]] = {}


def _worked_out(root: Node) -> tuple[Node, Script, frozenset[str]]:
    # Kept by identity: to see that two trees are equal takes as long as to work one out.
    found = _SCRIPTS.get(id(root))
    if found is None or found[0] is not root:
        place: dict[Node, int] = {}
        out: list[tuple[Node, tuple[int, ...], fmpq | None]] = []
        for node in walk(root):
            place[node] = len(out)
            args = tuple([place[a] for a in node.args]) if isinstance(node, Apply) else ()
            out.append((node, args, exact(node.value) if isinstance(node, Number) else None))
        if len(_SCRIPTS) >= 32:
            _SCRIPTS.clear()
        called = frozenset(node.name for node, _, _ in out if isinstance(node, Name))
        found = _SCRIPTS[id(root)] = root, tuple(out), called
    return found


def script(root: Node) -> Script:
    """The nodes in order of evaluation, with the places of their arguments, and the value where it is a number."""
    return _worked_out(root)[1]


def names(root: Node) -> frozenset[str]:
    """The names that occur in a tree, remembered."""
    return _worked_out(root)[2]
