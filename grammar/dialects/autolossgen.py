"""The syntax of AutoLossGen's search log, as its program trains it and as it stands on paper.

Li, Ji, Ge, Zhang: AutoLossGen, SIGIR 2022. A line of the log is a graph of operators written out: `max(a , b)`,
`(a * b)`, `1 / (x)`, `(x) ^ 2`, `- (x)`, `Log (x)`. The program clamps the result of every operator to [1e-5, 1e5] and
protects the logarithm, the reciprocal and the root by 1e-6; the log shows neither.
"""

from __future__ import annotations

import re
from fractions import Fraction

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.characters import stray
from lossdsl.grammar.dialects.scan import Cursor, Token, apply, check_brackets, number
from lossdsl.grammar.tree import Name, Node, Number

CLAMP = (Fraction(1, 10**5), Fraction(10**5))
TRAINED_NOTE = (
    "read as trained: every operator's result is clamped to [1e-5, 1e5], Log, 1/ and Sqrt are protected by 1e-6"
)
IDENTITY_NOTE = "assumes no identity node on a leaf: the log does not print those, and one would have clamped the leaf"

# The log's word: the operator as printed, and as trained.
FUNCTIONS = {
    "log": ("log", "plog"),
    "sqrt": ("sqrt", "psqrt"),
    "sigmoid": ("sigmoid", "sigmoid"),
    "tanh": ("tanh", "tanh"),
    "relu": ("relu", "relu"),
    "max": ("max", "max"),
    "min": ("min", "min"),
}
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*/^(),|])",
    re.ASCII,
)


def scan(source: str, end: int) -> list[Token]:
    """The tokens of `source[:end]`."""
    tokens: list[Token] = []
    place = 0
    while place < end:
        match = _TOKEN.match(source, place, end)
        if match is None:
            raise stray(source, place)
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match[0], place, match.end()))
        place = match.end()
    tokens.append(Token("end", "", end, end))
    return tokens


def read_root(source: str, end: int, trained: bool) -> Node:
    """The tree of `source[:end]`, clamps and all when `trained`."""
    tokens = scan(source, end)
    check_brackets(source, tokens)
    reader = _Reader(source, tokens, trained)
    root = reader.chain()
    if reader.next.kind != "end":
        raise reader.surplus()
    return root


class _Reader(Cursor):
    def __init__(self, source: str, tokens: list[Token], trained: bool) -> None:
        super().__init__(source, tokens)
        self.trained = trained

    def operator(self, op: str, *args: Node, start: int) -> Node:
        """One operator of the graph; as trained, its result is clamped."""
        span = Span(start, self.tokens[self.place - 1].end)
        node: Node = apply(op, *args, span=span)
        if self.trained:
            node = apply("clamp", node, Number(CLAMP[0], span=span), Number(CLAMP[1], span=span), span=span)
        return node

    def chain(self) -> Node:
        """`a + b`, `a * b * c`: one operator of two or more inputs, never a mixture."""
        self.deeper()
        start = self.next.start
        args = [self.item()]
        sign = self.next
        while self.sees("+", "*"):
            if self.next.text != sign.text:
                raise self.mark.at(
                    "LD301", f"`{sign.text}` and `{self.next.text}` are mixed without brackets", self.next,
                    "the log puts each operation in brackets of its own, as in ((a * b) + c)",
                )  # fmt: skip
            self.take()
            args.append(self.item())
        self.depth -= 1
        if len(args) == 1:
            return args[0]
        op = "add" if sign.text == "+" else "mul"
        node = args[0]
        for arg in args[1:-1]:
            node = apply(op, node, arg)
        return self.operator(op, node, args[-1], start=start)

    def item(self) -> Node:
        """One input of an operator."""
        token = self.next
        if token.kind == "number":
            return self.numeral()
        if token.kind == "name":
            return self.word()
        if token.text == "-":
            return self.minus()
        if token.text == "|":
            return self.bars()
        if token.text == "(":
            inside = self.bracket("`(`")
            if not self.eat("^"):
                return inside
            if self.next.kind != "number":
                raise self.no_operand()
            power = number(self.mark, self.take())
            return self.operator("pow", inside, power, start=token.start)
        raise self.no_operand()

    def numeral(self) -> Node:
        """A number, or the reciprocal that is written `1 / (x)`."""
        token = self.take()
        value = number(self.mark, token)
        if not self.eat("/"):
            return value
        if value.value != 1:
            raise self.mark.at("LD301", "only 1 can be divided here", token, "write a * 1 / (b) for a divided by b")
        argument = self.bracket("`1 /`")
        if self.trained:
            return self.operator("pinv", argument, start=token.start)
        return self.operator("div", value, argument, start=token.start)

    def word(self) -> Node:
        """A variable, a function or `e ^ (x)`."""
        token = self.take()
        function = FUNCTIONS.get(token.text.lower())
        if token.text == "e" and self.eat("^"):
            return self.operator("exp", self.bracket("`e ^`"), start=token.start)
        if function is None or not self.sees("("):
            if self.sees("("):
                known = "Log, Sigmoid, Sqrt, Tanh, ReLU, max, min, 1 / (x), (x) ^ 2, - (x), e ^ (x), |x|"
                raise self.mark.at("LD002", f"unknown function `{token.text}`", token, f"the log's are {known}")
            return Name(token.text, span=Span(token.start, token.end))
        self.take()
        args = [self.chain()]
        while self.eat(","):
            args.append(self.chain())
        if self.next.text != ")":
            raise self.surplus()
        self.take()
        op = function[self.trained]
        if op in ("max", "min"):
            if len(args) < 2:
                hint = f"write {token.text}(a , b)"
                raise self.mark.at("LD008", f"`{token.text}` takes 2 or more arguments, not 1", token, hint)
        elif len(args) != 1:
            raise self.mark.at(
                "LD008", f"`{token.text}` takes 1 argument, not {len(args)}", token, f"write {token.text} (x)"
            )
        return self.operator(op, *args, start=token.start)

    def minus(self) -> Node:
        token = self.take()
        if self.sees("("):
            return self.operator("neg", self.bracket("`-`"), start=token.start)
        if self.next.kind in ("name", "number"):
            return self.operator("neg", self.item(), start=token.start)
        raise self.no_operand()

    def bars(self) -> Node:
        token = self.take()
        inside = self.chain()
        self.need("|", "`|`")
        return self.operator("abs", inside, start=token.start)

    def bracket(self, after: str) -> Node:
        self.need("(", after)
        inside = self.chain()
        if self.next.text != ")":
            raise self.surplus()
        self.take()
        return inside

    def surplus(self) -> LossSyntaxError:
        """What to say of a token that continues nothing."""
        token = self.next
        if token.text == "-":
            return self.mark.at("LD301", "AutoLossGen has no subtraction", token, "write (a + - (b)) for a - b")
        if token.text in ("/", "^"):
            hint = "write a * 1 / (b) for a / b, (x) ^ 2 for a square"
            return self.mark.at("LD301", f"`{token.text}` cannot follow here", token, hint)
        if token.text == "," or token.text == ")":
            return self.mark.at("LD004", f"`{token.text}` does not belong here", token)
        return self.no_operator()
