"""Loss functions as they stand in Python code: PyTorch, NumPy, TensorFlow, Keras, JAX, plain `math`.

The text is read, never run: own tokens, own precedence climbing, a table of functions. A few lines of assignments
before the loss are put in where their names are used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.dialects.meaning import COMPARISONS
from lossdsl.grammar.dialects.python_calls import Calls
from lossdsl.grammar.dialects.python_values import (
    ARITHMETIC,
    HINTS,
    KEYWORDS,
    MODULES,
    OWNERS,
    Path,
    Text,
    Value,
    scan,
)
from lossdsl.grammar.dialects.scan import CLOSES, Token, apply, check_brackets, number
from lossdsl.grammar.tree import Node


def read_root(
    source: str, end: int, aliases: Mapping[str, str], defined: Collection[str] = ()
) -> tuple[Node, list[str]]:
    """The tree of `source[:end]`, reductions and pairs still in it, and what to say about the reading.

    `aliases` are the names of variables, `defined` the parameters that `where` gives values.
    """
    tokens = scan(source, end)
    check_brackets(source, tokens)
    reader = _Statements(source, tokens, aliases)
    reader.defined = defined
    return reader.program(), list(dict.fromkeys(reader.notes))


class _Expressions(Calls):
    """Precedence climbing over Python's operators."""

    def expression(self) -> Value:
        """`a if c else b`, or simpler."""
        self.deeper()
        chosen = self.comparison()
        if self.next.text == "if" and self.next.kind == "name":
            self.take()
            condition = self.condition(self.comparison())
            if self.next.text != "else":
                raise self.mark.at("LD004", "`else` is missing", self.next, "a if condition else b")
            self.take()
            chosen = apply("if", condition, self.node(chosen), self.node(self.expression()))
        self.depth -= 1
        return chosen

    def comparison(self) -> Value:
        left = self.sum(1)
        sign = self.next
        if sign.kind != "sign" or sign.text not in (*COMPARISONS, "==", "!="):
            return left
        self.take()
        node = self.compare(sign.text, self.node(left), self.node(self.sum(1)), sign)
        if self.sees(*COMPARISONS, "==", "!="):
            raise self.mark.at(
                "LD304", "comparisons cannot be chained in a formula", self.next, "nest two `torch.where`"
            )
        return node

    def sum(self, level: int) -> Value:
        """Sums (level 1) and products (level 2)."""
        left = self.unary()
        while self.next.kind == "sign":
            token = self.next
            if token.text in HINTS:
                raise self.mark.at("LD304", f"`{token.text}` has no meaning in a formula", token, HINTS[token.text])
            op, strength = ARITHMETIC.get(token.text, ("", 0))
            if strength < level:
                break
            self.take()
            right = self.sum(strength + 1)
            left = apply(op, self.node(left), self.node(right))
        return left

    def unary(self) -> Value:
        signs: list[Token] = []
        while sign := self.eat("-", "+"):
            signs.append(sign)
        value = self.power()
        for sign in reversed(signs):
            node = self.node(value)
            value = node if sign.text == "+" else apply("neg", node, span=_from(sign, node))
        return value

    def power(self) -> Value:
        base = self.postfix()
        if not self.eat("**"):
            return base
        self.deeper()
        exponent = self.node(self.unary())
        self.depth -= 1
        if isinstance(base, Path) and base.parts[-1] == "e" and base.parts[0] in MODULES:
            return apply("exp", exponent, span=Span(base.span.start, (exponent.span or base.span).end))
        return apply("pow", self.node(base), exponent)

    def postfix(self) -> Value:
        value = self.atom()
        while True:
            if self.eat("."):
                if self.next.kind != "name":
                    raise self.no_operand()
                value = self.attribute(value, self.take())
            elif self.sees("("):
                value = self.call(value)
            elif self.sees("["):
                raise self.mark.at(
                    "LD304",
                    "indexing has no meaning in a formula",
                    self.next,
                    "a formula sees one prediction at a time",
                )
            else:
                return value

    def atom(self) -> Value:
        token = self.next
        if token.kind == "number":
            return number(self.mark, self.take())
        if token.kind == "text":
            self.take()
            return Text(token.text, Span(token.start, token.end))
        if token.kind == "name" and token.text not in KEYWORDS | {"if", "else", "lambda", "return", "def"}:
            self.take()
            return Path((token.text,), Span(token.start, token.end))
        if token.kind == "name":
            raise self.keyword(token)
        if token.text == "(":
            self.take()
            if self.sees(")"):
                raise self.no_operand()
            value = self.expression()
            self.close()
            return value
        if token.text in HINTS:
            raise self.mark.at("LD304", f"`{token.text}` has no meaning in a formula", token, HINTS[token.text])
        raise self.no_operand()

    def keyword(self, token: Token) -> LossSyntaxError:
        hint = {
            "and": "nest two `torch.where`",
            "or": "nest two `torch.where`",
            "not": "turn the comparison around",
            "for": "a formula sees one prediction at a time",
            "class": "paste the lines of its function alone, from `def` to `return`",
        }
        return self.mark.at("LD304", f"`{token.text}` has no meaning in a formula", token, hint.get(token.text))

    def close(self) -> None:
        if self.eat(")"):
            return
        if self.sees(","):
            raise self.mark.at("LD304", "a tuple has no meaning in a formula", self.next, "one expression at a time")
        if self.next.kind == "end":  # a bracket that check_brackets saw closed: cannot be
            raise self.no_operand()
        raise self.no_operator()


class _Statements(_Expressions):
    """A line or a few of them: assignments, then what is returned or assigned last."""

    defined: Collection[str] = ()

    def program(self) -> Node:
        value: Value | None = None
        assigned: Token | None = None
        while not self.at_end():
            if value is not None and assigned is None:
                raise self.mark.at("LD304", "a second formula follows the first", self.next, "one formula at a time")
            self.header()
            if self.next.kind == "text" and self.peek().kind in ("newline", "end"):
                self.take()  # what a function says of itself, in single quotes
                continue
            assigned = self.assignment()
            if assigned is None:
                self.eat("return")
                value = self.expression()
            else:
                value = self.known[assigned.text]
            if self.next.kind not in ("newline", "end"):
                raise self.leftover()
        if value is None:
            raise self.no_operand()
        if assigned is not None:
            self.notes.append(f"`{assigned.text} =` is dropped")
            if assigned.text in self.aliases:
                meaning = self.aliases[assigned.text]
                what = "a variable" if meaning == assigned.text else f"another name of {meaning}"
                message = f"`{assigned.text}` is {what} and cannot be the name of the loss"
                raise self.mark.at("LD011", message, assigned, "leave out `name =`, or write `loss =`")
        return self.node(value)

    def at_end(self) -> bool:
        """Skip what says nothing: empty lines, imports, decorators."""
        while True:
            if self.next.kind == "end":
                return True
            if self.sees("import", "from", "@"):
                while self.next.kind not in ("newline", "end"):
                    self.take()
            elif self.next.kind != "newline":
                return False
            else:
                self.take()

    def header(self) -> None:
        """`lambda a, b:` and `def f(a, b):` say nothing that a formula needs."""
        if self.next.text not in ("lambda", "def") or self.next.kind != "name":
            return
        start = self.take()
        depth = 0
        while self.next.kind not in ("end", "newline") and not (depth == 0 and self.sees(":")):
            depth += self.sees(*CLOSES) - self.sees(")", "]", "}")
            name = self.take()
            if name.kind == "name":
                self.default(name)
        if not self.eat(":"):
            raise self.mark.at("LD004", f"`:` is missing after `{start.text}`", start)
        while self.next.kind == "newline":
            self.take()

    def default(self, name: Token) -> None:
        """`gamma: float = 2.0` among the arguments gives gamma its value, unless `where` does."""
        ahead = 2 if self.sees(":") and self.peek().kind == "name" else 0
        value, behind = self.peek(ahead + 1), self.peek(ahead + 2)
        if self.peek(ahead).text != "=" or value.kind != "number" or behind.text not in (",", ")", ":"):
            return
        annotation = self.tokens[self.place - 2].text == ":"
        # `p=2` and `s=30` are the order of a norm and a scale, whatever these letters mean elsewhere.
        free = name.text not in self.aliases or name.text in ("p", "s")
        if not annotation and free and name.text not in self.defined:
            self.known[name.text] = number(self.mark, value)
            if any(t.text == name.text for t in self.tokens[self.place :]):
                self.notes.append(f"`{name.text} = {value.text}` is taken from the arguments")

    def assignment(self) -> Token | None:
        """`name = …` or `name *= …`; the name is known from then on."""
        if self.next.kind != "name":
            return None
        ahead = 2 if self.next.text in OWNERS and self.peek().text == "." else 0
        sign = self.peek(ahead + 1)
        if sign.kind != "sign" or sign.text not in ("=", "+=", "-=", "*=", "/=", "**="):
            return None
        owner = (self.next.text,) if ahead else ()
        for _ in range(ahead):
            self.take()
        name = self.take()
        if name.kind != "name" or name.text in KEYWORDS:
            raise self.mark.at("LD011", f"`{name.text}` cannot be assigned to", name)
        self.take()
        self.header()  # name = lambda p, y: …
        value = self.expression()
        if sign.text != "=":
            op = {"+=": "add", "-=": "sub", "*=": "mul", "/=": "div", "**=": "pow"}[sign.text]
            old = self.node(Path((*owner, name.text), Span(name.start, name.end)))
            value = apply(op, old, self.node(value))
        elif isinstance(value, Path):
            value = self.resolved(value)
        key = ".".join((*owner, name.text))
        self.known[key] = value
        return replace(name, text=key)

    def leftover(self) -> LossSyntaxError:
        token = self.next
        if token.text == "=":
            hint = "name = formula, or a comparison by < <= > >="
            return self.mark.at("LD011", "`=` cannot stand here", token, hint)
        if token.kind == "name" and token.text in KEYWORDS:
            return self.keyword(token)
        if token.text in (",", ":", ":=", "->") or token.text in ")]}":
            return self.mark.at("LD304", f"`{token.text}` does not belong here", token, "one formula at a time")
        return self.no_operator()


def _from(token: Token, node: Node) -> Span:
    return Span(token.start, node.span.end if node.span else token.end)
