"""Calls in Python code: what a dotted name stands for, and which arguments go where."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from lossdsl.errors import Span
from lossdsl.grammar.dialects import python_functions as table
from lossdsl.grammar.dialects.meaning import COMPARISONS, compare
from lossdsl.grammar.dialects.python_functions import Call, Function
from lossdsl.grammar.dialects.python_values import METHOD_COMPARISONS, MODULES, OWNERS, Made, Path, Text, Value
from lossdsl.grammar.dialects.scan import Cursor, Token, apply
from lossdsl.grammar.naming import absent
from lossdsl.grammar.suggest import nearest
from lossdsl.grammar.tree import Apply, Name, Node, Number


class Calls(Cursor):
    """What values mean and what calls build; the class below reads the expressions."""

    def __init__(self, source: str, tokens: list[Token], aliases: Mapping[str, str]) -> None:
        super().__init__(source, tokens)
        self.aliases = aliases
        self.notes: list[str] = []
        self.known: dict[str, Value] = {}
        self.literal: list[bool] = []  # which arguments of the last call are a whole number, a word of Python, a type

    def expression(self) -> Value:
        raise NotImplementedError

    def condition(self, value: Value) -> Node:
        """The value as a condition."""
        node = self.truth(value)
        if node is None:
            shown = self.node(value)
            raise self.mark.at("LD304", "a condition is needed here", shown, "such as label == 1 or pred > 0.5")
        return node

    def truth(self, value: Value) -> Node | None:
        """The comparison that a value is, None if it is a number. A label in a condition asks whether it is 1."""
        node = self.resolved(value)
        if isinstance(node, Apply) and node.op in COMPARISONS.values():
            return node
        if node == Name("label"):
            self.notes.append("label as a condition is read as label > 0")
            return apply("gt", node, Number(Fraction(0), span=node.span))
        return None

    def node(self, value: Value) -> Node:
        """The value as a number; a comparison among numbers counts 1 or 0, as a mask does."""
        node = self.resolved(value)
        if isinstance(node, Apply) and node.op in COMPARISONS.values():
            one, zero = Number(Fraction(1), span=node.span), Number(Fraction(0), span=node.span)
            return apply("if", node, one, zero)
        return node

    def resolved(self, value: Value) -> Node:
        if isinstance(value, Node):
            return value
        if isinstance(value, Path):
            return self.lookup(value)
        if isinstance(value, Text):
            raise self.mark.error("LD304", "a string is no part of a formula", value.span.start, value.span.end)
        raise self.mark.error(
            "LD304",
            f"`{self.source[value.span.start : value.span.end]}` is not called",
            value.span.start,
            value.span.end,
            "call it on something",
        )

    def lookup(self, path: Path) -> Node:
        name, spelled = path.parts[-1], ".".join(path.parts)
        if len(path.parts) == 1 or (path.parts[0] in OWNERS and len(path.parts) == 2):
            known = self.known.get(spelled)
            if known is not None:
                return self.resolved(known)
            if len(path.parts) == 2 and len(name) == 1 and name in self.aliases:
                raise self.mark.error("LD304", f"what `{spelled}` is, is not clear", path.span.start, path.span.end,
                                      f"write the number that it has, or {self.aliases[name]}")  # fmt: skip
            if name in ("True", "False", "None"):
                raise self.mark.error("LD304", f"`{name}` is no number", path.span.start, path.span.end)
            return Name(self.aliases.get(name, name), span=path.span)
        if path.parts[0] in MODULES and name in ("e", "pi", "inf", "nan"):
            hint = {"e": "write exp(x) for e ** x", "pi": "add `where pi = 3.14159265358979` and write pi"}.get(name)
            raise self.mark.error("LD304", f"a formula has no `{name}`", path.span.start, path.span.end, hint)
        span = Span(path.span.end - len(name), path.span.end)
        known_function = name in table.FUNCTIONS or name in table.REDUCTIONS
        if known_function and path.parts[0] in MODULES:
            message = f"the function `{name}` has no arguments here"
            raise self.mark.error("LD015", message, span.start, span.end, f"write `{spelled}(x)`")
        hint = f"call it: `.{name}()`" if known_function else "a formula is made of numbers, names and function calls"
        message = f"attribute `.{name}` has no meaning in a formula"
        raise self.mark.error("LD012", message, span.start, span.end, hint)

    def attribute(self, value: Value, name: Token) -> Value:
        if isinstance(value, Path):
            return Path((*value.parts, name.text), Span(value.span.start, name.end))
        if not self.sees("("):
            hint = f"call it: `.{name.text}()`" if name.text in table.FUNCTIONS else None
            raise self.mark.at("LD012", f"attribute `.{name.text}` has no meaning in a formula", name, hint)
        return self.invoke(name.text, name, value)

    def call(self, value: Value) -> Value:
        """A call of a name, of a method, or of what `nn.Softplus()` made."""
        if isinstance(value, Made):
            return self.build(value.name, table.FUNCTIONS[value.name], value.span, [], value.given)
        if not isinstance(value, Path):
            raise self.mark.at("LD005", "an operator is missing before `(`", self.next, "write `*` to multiply")
        *prefix, name = value.parts
        place = Token("name", name, value.span.end - len(name), value.span.end)
        if not prefix and isinstance(made := self.known.get(name), Made):
            return self.build(made.name, table.FUNCTIONS[made.name], value.span, [], made.given)
        if not prefix and name not in table.FUNCTIONS and (name in self.known or name in self.aliases.values()):
            raise self.mark.at("LD005", f"`{name}` is no function", place, "write `*` to multiply")
        if not prefix or prefix[0] in MODULES or (prefix[0] in OWNERS and len(prefix) == 1):
            return self.invoke(name, place, None, value.span.start)
        return self.invoke(name, place, Path(tuple(prefix), Span(value.span.start, place.start - 1)))

    def invoke(self, name: str, place: Token, owner: Value | None, start: int | None = None) -> Value:
        """A function by its last name, on `owner` if it is a method."""
        spelled = name.rstrip("_") if owner is not None else name
        first = [owner] if owner is not None else []
        start = place.start if start is None else start
        if isinstance(owner, (Path, Text)):
            start = owner.span.start
        elif isinstance(owner, Node) and owner.span is not None:
            start = owner.span.start
        span = Span(start, place.end)
        if spelled in table.REFUSED:
            raise self.mark.at("LD304", f"`{name}` has no meaning in a formula", place, table.REFUSED[spelled])
        if spelled in table.REDUCTIONS:
            return self.reduction(table.REDUCTIONS[spelled], span, first)
        if spelled in table.PASSING or spelled in table.INTEGERS:
            return self.passing(spelled, place, first)
        if spelled in ("ones_like", "zeros_like", "epsilon", "full_like"):
            return self.filled(spelled, span)
        if spelled in METHOD_COMPARISONS:
            positional, _ = self.arguments()
            if len(first) + len(positional) != 2:
                raise self.mark.at("LD008", f"`{name}` takes 2 arguments", place)
            left, right = (self.node(v) for v in [*first, *positional])
            return self.compare(METHOD_COMPARISONS[spelled], left, right, place)
        if spelled == "where" and owner is not None:
            positional, _ = self.arguments()
            if len(positional) != 2:
                raise self.mark.at("LD008", "`.where` takes 2 arguments", place)
            return apply("if", self.condition(positional[0]), self.node(owner), self.node(positional[1]), span=span)
        if spelled in table.CLASSES:
            positional, given = self.arguments()
            if positional:
                raise self.mark.at("LD008", f"`{name}` is made with named options only", place, f"`{name}()(x)`")
            return Made(table.CLASSES[spelled], given, span)
        function = table.FUNCTIONS.get(spelled)
        if function is None:
            close = nearest(spelled, [*table.FUNCTIONS, *table.REDUCTIONS])
            if spelled == "log_loss":
                close = "binary_cross_entropy"
            guess = f"did you mean `{close}`?" if close else "`lossdsl explain LD002` lists the functions"
            hint = absent(spelled) or guess
            raise self.mark.at("LD002", f"unknown function `{name}`", place, hint)
        return self.build(spelled, function, span, first, {}, place)

    def arguments(self) -> tuple[list[Value], dict[str, Value]]:
        """What stands in the brackets of a call."""
        self.need("(", "a function")
        positional: list[Value] = []
        named: dict[str, Value] = {}
        literal: list[bool] = []
        while not self.eat(")"):
            if self.sees("*", "**"):
                raise self.mark.at("LD304", f"`{self.next.text}` before an argument has no meaning here", self.next)
            if self.next.kind == "name" and self.peek().text == "=" and self.peek().kind == "sign":
                key = self.take()
                self.take()
                if key.text in named:
                    raise self.mark.at("LD008", f"`{key.text}` is given twice", key)
                named[key.text] = self.expression()
            elif named:
                raise self.mark.at("LD008", "an argument without a name follows one with a name", self.next)
            else:
                begin = self.place
                positional.append(self.expression())
                tokens = self.tokens[begin : self.place]
                text = "".join(token.text for token in tokens)
                word = isinstance(positional[-1], Path) and positional[-1].parts[-1] in table.NO_NUMBERS
                literal.append(text.removeprefix("-").isdecimal() or word or isinstance(positional[-1], Text))
            if not self.eat(",") and not self.sees(")"):
                raise self.no_operator()
        self.literal = literal
        return positional, named

    def reduction(self, op: str, span: Span, first: list[Value]) -> Node:
        """`mean` or `sum`, kept in the tree until it is known whether it stands around the whole."""
        positional, named = self.arguments()
        literal = [True, *self.literal] if first else self.literal
        values = [*first, *positional]
        if not values:
            raise self.mark.error("LD008", f"`{op}` takes 1 argument", span.start, span.end)
        extra = next((key for key in named if key not in table.OF_A_REDUCTION), None)
        if extra is not None or not all(literal[1:]):
            given = f"`{extra}`" if extra else "more than one number"
            raise self.mark.error(
                "LD304", f"a {op} of {given} has no meaning in a formula", span.start, self.until(span).end,
                "multiply each loss by its weight, before the mean",
            )  # fmt: skip
        return apply(op, self.node(values[0]), span=self.until(span))

    def passing(self, name: str, place: Token, first: list[Value]) -> Value:
        """A change of type or shape, which leaves the number what it is."""
        positional, named = self.arguments()
        values = [*first, *positional]
        if not values:
            raise self.mark.at("LD008", f"`{name}` takes an argument", place)
        types = [v.parts[-1] if isinstance(v, Path) else v.text.strip("\"'") if isinstance(v, Text) else ""
                 for v in (*values[1:], *named.values())]  # fmt: skip
        rounding = name in table.INTEGERS or any(table.INTEGER_TYPE.fullmatch(kind) for kind in types)
        whole = isinstance(values[0], Number) and values[0].value.denominator == 1
        if rounding and not whole and not self.is_integer(values[0]):
            raise self.mark.at("LD304", f"`{name}` would round what is no label", place, "take it away")
        return self.resolved(values[0]) if name not in table.INTEGERS else values[0]

    def is_integer(self, value: Value) -> bool:
        """Whether a value is 0 or 1 already: a label, or a comparison."""
        node = self.resolved(value)
        return node == Name("label") or (isinstance(node, Apply) and node.op in COMPARISONS.values())

    def filled(self, name: str, span: Span) -> Node:
        positional, named = self.arguments()
        if name == "full_like":
            value = named.get("fill_value") or (positional[1] if len(positional) > 1 else None)
            if value is None:
                raise self.mark.error("LD008", "`full_like` takes 2 arguments", span.start, span.end)
            return self.node(value)
        if name == "epsilon":
            self.notes.append("epsilon() is read as Keras's default, 1e-7")
        value_of = {"ones_like": Fraction(1), "zeros_like": Fraction(0), "epsilon": Fraction(1, 10**7)}
        return Number(value_of[name], span=self.until(span))

    def build(
        self,
        name: str,
        function: Function,
        span: Span,
        first: list[Value],
        given: Mapping[str, Value],
        place: Token | None = None,
    ) -> Node:
        """The tree of a call."""
        positional, named = self.arguments()
        where = place or Token("name", name, span.start, span.end)
        if name in ("max", "min") and (first or span.start < where.start) and any(self.literal[1 - len(first) :][:1]):
            raise self.mark.at("LD304", f"the number of `{name}` is an axis there", where,
                               f"to compare with a number, torch.clamp or np.{name}imum")  # fmt: skip
        bound = self.bind(name, function, [*first, *positional], [*given.items(), *named.items()], where)
        reduction = "mean" if function.reduces else None
        option = bound.pop("reduction", None)
        if isinstance(option, Text):
            wanted = option.text.strip("\"'").lower()
            if wanted not in table.REDUCTION_OPTIONS:
                raise self.mark.error("LD008", f"`{wanted}` is no reduction", option.span.start, option.span.end)
            reduction = table.REDUCTION_OPTIONS[wanted]
        logits = bound.pop("from_logits", None)
        if logits is not None and not (isinstance(logits, Path) and logits.parts in (("True",), ("False",))):
            raise self.mark.at("LD008", "`from_logits` has to be True or False here", where, "write which it is")
        from_logits = isinstance(logits, Path) and logits.parts == ("True",)
        if from_logits:
            function = table.FUNCTIONS["binary_cross_entropy_with_logits"]
        found = {
            key: self.condition(value) if key in function.conditions else self.node(value)
            for key, value in bound.items()
            if key not in table.IGNORED
        }
        whole = self.until(span)
        if name.startswith("cl") and len(found) < 2:
            raise self.mark.at("LD008", f"`{name}` takes at least one bound", where, "as in x.clamp(min=0)")
        if name in ("sigmoid", "expit") or name.endswith("with_logits") or from_logits:
            self.warn_of_logit(found["x"])
        node = function.build(Call(found, whole))
        if function.note:
            self.notes.append(function.note)
        return apply(reduction, node, span=whole) if reduction else node

    def warn_of_logit(self, node: Node) -> None:
        """Many a project calls its logit `pred`; read here, that name is the probability."""
        if node == Name("pred"):
            shown = self.mark.shown(node) if isinstance(node, Name) else "pred"
            self.notes.append(f"`{shown}` is read as a probability here; if yours is a logit, call it score")

    def bind(
        self, name: str, function: Function, values: list[Value], named: list[tuple[str, Value]], where: Token
    ) -> dict[str, Value]:
        """Which value belongs to which parameter, those given as None left out."""
        if len(values) > len(function.parameters) or (name in ("max", "min") and len(values) + len(named) < 2):
            hint = "over a batch it has no meaning in a formula" if len(values) < 2 else function.usage(name)
            raise self.mark.at("LD008", f"`{name}` takes {function.arity}, not {len(values)}", where, hint)
        bound = {p.names[0]: v for p, v in zip(function.parameters, values)}
        for key, value in named:
            parameter = next((p for p in function.parameters if key in p.names), None)
            if parameter is None and key in table.IGNORED:
                continue
            if parameter is None:
                known = ", ".join(p.names[0] for p in function.parameters if p.names[0] not in table.IGNORED)
                raise self.mark.at("LD008", f"`{name}` has no argument `{key}`", where, f"it has {known}")
            if parameter.names[0] in bound:
                raise self.mark.at("LD008", f"`{name}` is given `{key}` twice", where)
            bound[parameter.names[0]] = value
        bound = {k: v for k, v in bound.items() if not (isinstance(v, Path) and v.parts == ("None",))}
        for parameter in function.parameters:
            if not parameter.optional and parameter.names[0] not in bound:
                usage = function.usage(name)
                raise self.mark.at("LD008", f"`{name}` takes {function.arity}, not {len(bound)}", where, usage)
        return bound

    def until(self, span: Span) -> Span:
        """From the span's start to the bracket just closed."""
        return Span(span.start, self.tokens[self.place - 1].end)

    def compare(self, sign: str, left: Node, right: Node, where: Token | Node) -> Node:
        return compare(sign, left, right, where, self.mark, self.notes)
