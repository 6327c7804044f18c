r"""Loss functions as they stand in papers: `-y\log\hat{y} - (1-y)\log(1-\hat{y})`.

SymPy has a Lark grammar for LaTeX, but what it builds evaluates itself (x/x becomes 1, 0*log(p) becomes 0), and it knows
neither \hat nor \sigma(\cdot). So this is a reader of our own: a product without a sign, functions without brackets,
bars, cases, indices that count predictions. Where two readings are common it refuses and says how to write either.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from os.path import commonprefix

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.dialects.latex_scan import COMMAND_FUNCTIONS, WORD_FUNCTIONS, scan
from lossdsl.grammar.dialects.meaning import COMPARISONS, compare, complement
from lossdsl.grammar.dialects.python_functions import FUNCTIONS, Call
from lossdsl.grammar.dialects.scan import Cursor, Token, apply, check_brackets, number
from lossdsl.grammar.limits import check_tree
from lossdsl.grammar.naming import wrong_count
from lossdsl.grammar.operators import ALIASES, OPERATORS
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, walk

_OPENS = {"(": ")", "[": "]", "{": "}", "|(": ")|"}
_COUNTS = frozenset("N n M m B K T D S U".split())  # how many predictions a sum runs over
_HATTED = {"y": "pred", "p": "pred", "s": "score", "x": "score", "z": "score", "r": "score", "f": "score"}
# Letters whose indices say which prediction is meant. With two indices that differ, they are a pair's scores.
_INDEXED = frozenset("y p s x f z r score pred label".split())
_PAIRED = frozenset(
    (("i", "j"), ("plus", "minus"), ("+", "-"), ("pos", "neg"), ("positive", "negative"), ("p", "n"), ("1", "2"), ("w", "l"))
)


def read_root(source: str, end: int, defined: Collection[str]) -> tuple[Node, list[str], dict[str, tuple[str, int]]]:
    """The tree of `source[:end]`, what to say of the reading, and which names are members of pairs."""
    tokens = scan(source, end, defined)
    check_brackets(source, tokens)
    reader = _Reader(source, tokens, defined)
    reader.drop_prefix()
    root = reader.expression()
    if reader.next.kind != "end":
        raise reader.surplus()
    check_tree(Tree(root), source)  # before anything compares parts with each other
    root, pairs = reader.settle(root)
    return root, list(dict.fromkeys(reader.notes)), pairs


class _Reader(Cursor):
    def __init__(self, source: str, tokens: list[Token], defined: Collection[str]) -> None:
        super().__init__(source, tokens)
        self.defined = defined
        self.notes: list[str] = []
        self.bar_open = False
        self.bare: Token | None = None  # the function whose argument without brackets was read last
        self.indexed: dict[str, tuple[str, str]] = {}

    # -- the whole -------------------------------------------------------------------------------------------------

    def drop_prefix(self) -> None:
        r"""`\mathcal{L}(y, p) =` in front says nothing that a formula needs."""
        depth = 0
        places = []
        for place, token in enumerate(self.tokens):
            if token.kind == "sign":
                depth += (token.text in _OPENS) - (token.text in _OPENS.values())
            depth += (token.kind == "begin") - (token.kind == "end-cases")
            if token.text == "=" and token.kind == "sign" and depth == 0:
                places.append(place)
        if not places:
            return
        if len(places) > 1:
            raise self.mark.at("LD306", "several equals signs stand in a row", self.tokens[places[1]], "keep one formula")
        if places[0] == 0:
            raise self.mark.at("LD011", "nothing stands before `=`", self.tokens[0], "take it away")
        shown = self.source[self.tokens[0].start : self.tokens[places[0]].end]
        self.notes.append(f"`{shown}` is dropped")
        self.place = places[0] + 1
        while self.eat("&"):
            pass

    def surplus(self) -> LossSyntaxError:
        token = self.next
        if token.text == "=" and token.kind == "sign":
            return self.mark.at("LD011", "`=` cannot stand here", token, r"write L = \dots, or a condition inside cases")
        if token.kind == "sign" and token.text in COMPARISONS:
            return self.mark.at("LD013", "a comparison stands outside of cases", token, r"\begin{cases} a & x > 0 \\ b & \text{otherwise} \end{cases}")
        if token.kind == "command":
            return self.unknown(token)
        return self.mark.at("LD004", f"`{self.mark.spelled(token)}` does not belong here", token)

    def unknown(self, token: Token) -> LossSyntaxError:
        spelled = self.mark.spelled(token)
        return self.mark.at("LD305", f"`{spelled}` has no meaning in a formula", token, r"a function of your own: \operatorname{softplus}(x)")

    # -- sums and products -----------------------------------------------------------------------------------------

    def expression(self) -> Node:
        self.deeper()
        left = self.product()
        while sign := self.eat("+", "-"):
            right = self.product()
            left = apply("add" if sign.text == "+" else "sub", left, right)
        self.depth -= 1
        return left

    def product(self) -> Node:
        left = self.signed()
        divided = False
        while True:
            self.bare_ends()
            if self.eat("*"):
                left, divided = self.times(left, self.signed()), False
            elif self.eat("/"):
                right = self.signed()
                left, divided = apply("div", left, right), not isinstance(right, Number)
            elif self.starts_operand():
                if divided:
                    raise self.mark.at(
                        "LD306", "it is not clear what is divided by what", self.next,
                        r"write \frac{a}{b} c for (a/b)*c, \frac{a}{b c} for a/(b*c)",
                    )  # fmt: skip
                if self.bare is not None and not self.starts_function():
                    name = self.mark.spelled(self.bare)
                    raise self.mark.at(
                        "LD306", f"it is not clear how far `{name}` reaches", self.next,
                        f"write {name}(a b) or {name}(a) b",
                    )  # fmt: skip
                left = self.times(left, self.factor())
            else:
                return left

    def bare_ends(self) -> None:
        r"""A function without brackets reaches to the next sign; behind `\cdot` the question is settled."""
        if self.bare is not None and self.sees("*", "/"):
            name = self.mark.spelled(self.bare)
            self.notes.append(f"`{name}` is applied to what stands right behind it, not to the whole product")
            self.bare = None

    def times(self, left: Node, right: Node) -> Node:
        r"""A product; `\frac{1}{N} \sum` is a mean."""
        if isinstance(right, Apply) and right.op == "sum":
            inner = left.args[0] if isinstance(left, Apply) and left.op == "neg" else left
            if isinstance(inner, Apply) and inner.op == "div" and self.is_count(inner.args[1]):
                mean: Node = apply("mean", *right.args, span=right.span)
                if inner.args[0] != Number(Fraction(1)):
                    mean = apply("mul", inner.args[0], mean)
                return mean if inner is left else apply("neg", mean, span=left.span)
        return apply("mul", left, right)

    def is_count(self, node: Node) -> bool:
        if isinstance(node, Apply) and node.op == "abs":
            return self.is_count(node.args[0])
        return isinstance(node, Name) and node.name in _COUNTS and node.name not in self.defined

    def signed(self) -> Node:
        signs: list[Token] = []
        while sign := self.eat("-", "+"):
            signs.append(sign)
        node = self.factor()
        for sign in reversed(signs):
            if sign.text == "-":
                node = apply("neg", node, span=Span(sign.start, node.span.end if node.span else sign.end))
        return node

    def starts_operand(self) -> bool:
        token = self.next
        if token.kind == "command":
            return token.text in ("frac", "sqrt", "sum", "E")
        if token.kind == "sign":
            return token.text in ("(", "[", "{", "|(") or (token.text == "|" and not self.bar_open)
        return token.kind in ("number", "word", "function", "hat", "begin", "indicator")

    def starts_function(self) -> bool:
        token = self.next
        return token.kind in ("function", "begin", "indicator") or (token.kind == "word" and self.is_function(token))

    def is_function(self, token: Token) -> bool:
        if token.text == "sigma":
            return "sigma" not in self.defined
        return token.text in WORD_FUNCTIONS and token.text not in self.defined

    # -- factors ---------------------------------------------------------------------------------------------------

    def factor(self) -> Node:
        """One factor of a product, with its exponent."""
        self.bare = None
        token = self.next
        if token.kind == "function" or (token.kind == "word" and self.is_function(token)):
            return self.function()
        if token.kind == "word" and token.text == "e" and "e" not in self.defined and self.peek().text == "^":
            self.take()
            self.take()
            return apply("exp", self.script(), span=self.since(token))
        node = self.atom()
        return self.exponent(node, token)

    def exponent(self, node: Node, start: Token) -> Node:
        if self.sees("_") and start.text in ("(", "["):
            self.take()
            plus = self.take()
            if plus.text == "{" and self.sees("+"):
                plus = self.take()
                self.need("}", "`_{+`")
            if plus.text != "+":
                raise self.mark.at("LD305", "this index has no meaning in a formula", plus, "[x]_+ is read as max(0, x)")
            node = apply("relu", node, span=self.since(start))
        if not self.eat("^"):
            return node
        power = apply("pow", node, self.script(), span=self.since(start))
        if self.sees("^"):
            raise self.mark.at("LD306", "a second exponent stands on the first", self.next, "x^{a^{b}} or {x^{a}}^{b}")
        return power

    def script(self) -> Node:
        """What stands behind `^`: a group, or one sign."""
        token = self.next
        if token.text == "{" and token.kind == "sign":
            return self.group()
        if token.kind == "number" and len(token.text) > 1:
            raise self.mark.at("LD306", "TeX raises the first digit alone", token, f"write ^{{{token.text}}}")
        if token.kind in ("number", "word", "hat") or token.text == "frac":
            return self.atom()
        raise self.no_operand() if token.kind != "sign" or token.text != "-" else self.mark.at(
            "LD306", "TeX raises the minus alone", token, "write ^{-1}"
        )

    def group(self) -> Node:
        """What stands between two brackets of any kind."""
        opened = self.take()
        outer, self.bar_open = self.bar_open, False
        if self.next.text == _OPENS[opened.text] and self.next.kind == "sign":
            raise self.no_operand()
        node = self.expression()
        self.bare = None
        self.bar_open = outer
        self.shut(_OPENS[opened.text])
        return node

    def shut(self, text: str) -> None:
        if not self.sees(text):
            if self.sees(","):
                raise self.mark.at("LD004", "`,` does not belong here", self.next)
            raise self.surplus()
        self.take()

    def atom(self) -> Node:
        token = self.next
        if token.kind == "number":
            return number(self.mark, self.take())
        if token.kind in ("word", "hat"):
            return self.name()
        if token.kind == "sign" and token.text in ("(", "[", "{"):
            return self.group()
        if token.kind == "sign" and token.text in ("|", "|("):
            return self.bars()
        if token.kind == "begin":
            return self.cases()
        if token.kind == "indicator":
            return self.indicator()
        if token.kind == "command":
            return self.command()
        raise self.no_operand()

    def bars(self) -> Node:
        opened = self.take()
        if opened.text == "|(":
            outer, self.bar_open = self.bar_open, False
            node = self.expression()
            self.shut(")|")
        else:
            outer, self.bar_open = self.bar_open, True
            node = self.expression()
            if not self.sees("|"):
                raise self.mark.at("LD006", "`|` is never closed", opened, "add `|`")
            self.take()
        self.bare = None
        self.bar_open = outer
        return apply("abs", node, span=self.since(opened))

    def command(self) -> Node:
        token = self.next
        if token.text == "frac":
            self.take()
            above, below = self.argument(token), self.argument(token)
            return apply("div", above, below, span=self.since(token))
        if token.text == "sqrt":
            self.take()
            root = self.group() if self.sees("[") else None
            inside = self.argument(token)
            if root is None:
                return apply("sqrt", inside, span=self.since(token))
            return apply("pow", inside, apply("div", Number(Fraction(1), span=root.span), root), span=self.since(token))
        if token.text in ("sum", "E"):
            return self.reduction()
        raise self.unknown(token)

    def argument(self, command: Token) -> Node:
        r"""One argument of `\frac`: a group, or one sign."""
        token = self.next
        if token.kind == "sign" and token.text == "{":
            return self.group()
        if token.kind == "number" and len(token.text) > 1:
            # \frac12: TeX takes one digit for each argument.
            self.tokens[self.place : self.place + 1] = [
                Token("number", digit, token.start + k, token.start + k + 1) for k, digit in enumerate(token.text)
            ]
            if not token.text.isdigit():
                raise self.mark.at("LD306", "TeX takes the first digit alone", token, f"write {{{token.text}}}")
        if self.next.kind in ("number", "word", "hat"):
            return self.atom()
        raise self.mark.at("LD004", f"an argument of `{self.mark.spelled(command)}` is missing", command, r"\frac{a}{b}")

    def reduction(self) -> Node:
        r"""`\sum_{i=1}^{N}` and `\mathbb{E}`: taken away later, if they stand around the whole."""
        token = self.take()
        while self.eat("_", "^"):
            self.skip_script()
        body = self.product() if token.text == "sum" else self.factor()
        return apply("sum" if token.text == "sum" else "mean", body, span=self.since(token))

    def skip_script(self) -> str:
        """An index, as text: layout and brackets away."""
        start = self.take()
        if start.text != "{" or start.kind != "sign":
            return start.text
        depth = 1
        parts: list[str] = []
        while depth:
            token = self.take()
            depth += (token.text == "{") - (token.text == "}") if token.kind == "sign" else 0
            if depth and token.text not in ("{", "}", ","):
                parts.append(token.text)
        return "".join(parts)

    # -- functions -------------------------------------------------------------------------------------------------

    def function(self) -> Node:
        token = self.take()
        name = {"sigma": "sigmoid"}.get(token.text) or COMMAND_FUNCTIONS.get(token.text) or WORD_FUNCTIONS[token.text]
        base = power = None
        while self.sees("^", "_"):
            if self.eat("^"):
                power = self.script()
            elif name == "log":
                self.take()
                base = self.script()
            else:
                raise self.mark.at("LD305", "this index has no meaning in a formula", self.next, "write max(a, b)")
        args = self.function_arguments(token)
        node = self.applied(name, args, token)
        if base is not None and base != Name("e"):
            node = apply("div", node, apply("log", base), span=self.since(token))
        if power is not None:
            if isinstance(power, Apply) and power.op == "neg":
                raise self.mark.at("LD306", "an inverse function or a reciprocal?", token, r"write \frac{1}{f(x)}")
            return apply("pow", node, power, span=self.since(token))
        if self.bare is None and self.eat("^"):
            shown = self.mark.spelled(token)
            if name == "log":
                self.notes.append(f"`{shown}(…)^n` is read as ({shown}(…))^n")
            return apply("pow", node, self.script(), span=self.since(token))
        return node

    def function_arguments(self, token: Token) -> list[Node]:
        opened = self.next
        if opened.kind == "sign" and opened.text in ("(", "[", "{"):
            self.take()
            outer, self.bar_open = self.bar_open, False
            args = [self.expression()]
            while self.eat(","):
                args.append(self.expression())
            self.shut(_OPENS[opened.text])
            self.bar_open = outer
            self.bare = None
            return args
        if not self.starts_operand():
            spelled = self.mark.spelled(token)
            raise self.mark.at("LD015", f"the function `{spelled}` has no argument", token, f"write {spelled}(x)")
        arg = self.factor()
        self.bare = token
        return [arg]

    def applied(self, name: str, args: list[Node], token: Token) -> Node:
        span = self.since(token)
        if name in OPERATORS:
            wrong = wrong_count(name, len(args), span, self.source)
            if wrong is not None:
                raise wrong
            return apply(name, *args, span=span)
        if len(args) != 1:
            raise self.mark.at("LD008", f"`{self.mark.spelled(token)}` takes 1 argument, not {len(args)}", token)
        return FUNCTIONS[name].build(Call({"x": args[0]}, span))

    def indicator(self) -> Node:
        token = self.take()
        if self.eat("_"):
            pass
        if not self.sees("(", "[", "{"):
            raise self.mark.at("LD015", "the indicator has no condition", token, r"\mathbb{1}[y = 1]")
        opened = self.take()
        condition = self.condition()
        self.shut(_OPENS[opened.text])
        return apply("if", condition, Number(Fraction(1)), Number(Fraction(0)), span=self.since(token))

    def cases(self) -> Node:
        r"""`\begin{cases} a & y = 1 \\ b & \text{otherwise} \end{cases}`."""
        token = self.take()
        rows: list[tuple[Node, Node | None]] = []
        while self.next.kind != "end-cases":
            if self.next.kind == "end":
                raise self.mark.at("LD006", r"`\begin{cases}` is never closed", token, r"add `\end{cases}`")
            value = self.expression()
            self.eat(",")
            rows.append((value, self.case_condition()))
            self.eat(",", ".", ";")
            if not self.eat("\\\\") and self.next.kind != "end-cases":
                raise self.surplus()
        self.take()
        if not rows:
            raise self.mark.at("LD004", "there are no cases", token)
        value, last = rows[-1]
        if last is not None and not (len(rows) == 2 and rows[0][1] is not None and complement(rows[0][1], last)):
            raise self.mark.at("LD306", "the cases may leave something out", last, r"end with & \text{otherwise}")
        for row, condition in reversed(rows[:-1]):
            if condition is None:
                raise self.mark.at("LD306", "a case without condition is not the last", row)
            value = apply("if", condition, row, value, span=self.since(token))
        return value

    def case_condition(self) -> Node | None:
        self.eat("&")
        words = []
        while self.next.kind == "condition":
            words.append(self.take().text)
        if "otherwise" in words or "else" in words:
            return None
        if self.next.kind == "end-cases" or self.sees("\\\\"):
            return None
        return self.condition()

    def condition(self) -> Node:
        left = self.expression()
        sign = self.next
        if sign.kind != "sign" or sign.text not in (*COMPARISONS, "="):
            raise self.mark.at("LD014", "a comparison is needed here", sign if sign.kind != "end" else left, r"y = 1, or x \le 1")
        self.take()
        self.bare = None
        node = compare(sign.text, left, self.expression(), sign, self.mark, self.notes)
        if self.sees(*COMPARISONS, "="):
            raise self.mark.at("LD304", "comparisons cannot be chained in a formula", self.next, "one condition a case")
        return node

    # -- names -----------------------------------------------------------------------------------------------------

    def name(self) -> Node:
        """A letter or a word, with hat and index."""
        start = self.next
        hat = self.eat_hat()
        token = self.take()
        base = token.text
        if hat is not None and base not in _HATTED:
            raise self.mark.at("LD305", f"a hat on `{base}` has no meaning in a formula", token, r"the prediction is \hat{y}")
        if hat is not None:
            self.need("}", "the hat's letter") if self.hat_braced else None
        index = self.index(base)
        span = self.since(start)
        if hat is None and base in ("f", "s") and self.is_model_call(base):
            self.notes.append(f"`{self.source[start.start : self.tokens[self.place - 1].end]}` is read as score")
            return Name("score", span=self.since(start))
        if index and f"{base}_{index}" in self.defined:
            return Name(f"{base}_{index}", span=span)
        if index == "t" and base in ("p", "alpha") and (base in self.defined) == (base == "alpha"):
            return self.by_label(Name("pred" if base == "p" else base, span=span), base, span)
        if hat is None and base in self.defined:
            if index:
                self.notes.append(f"the index of `{base}_{index}` is dropped")
            return Name(base, span=span)
        meaning = _HATTED[base] if hat is not None else ALIASES.get(base, base)
        if not index:
            if hat is not None and meaning == "score":
                self.notes.append(f"a hat on `{base}` is read as score")
            return Name(meaning, span=span)
        if hat is None and base not in _INDEXED:
            return Name(f"{base}_{index}", span=span)
        raw = f"{'hat ' if hat is not None else ''}{base} {index}"
        self.indexed[raw] = (f"{'hat ' if hat is not None else ''}{base}", index)
        return Name(raw, span=span)

    def eat_hat(self) -> Token | None:
        self.hat_braced = False
        if self.next.kind != "hat":
            return None
        hat = self.take()
        self.hat_braced = self.eat("{") is not None
        if self.next.kind != "word":
            raise self.mark.at("LD004", "a hat needs one letter", hat, r"\hat{y}")
        return hat

    def index(self, base: str) -> str:
        """What stands behind `_`, or as `^+`, `^-`, `^{(i)}`: which prediction is meant."""
        index = ""
        if self.eat("_"):
            index = self.skip_script()
        if self.sees("^") and base in _INDEXED:
            ahead = self.peek()
            second, third = self.peek(2), self.peek(3)
            braced = ahead.text == "{" and (
                (second.text in ("+", "-") and third.text == "}")
                or (second.text == "(" and third.text in ("i", "j", "n") and third.text not in self.defined)
            )
            if ahead.text in ("+", "-") or braced:
                self.take()
                index += self.skip_script().strip("()")
        return {"+": "plus", "-": "minus"}.get(index, index)

    def is_model_call(self, base: str) -> bool:
        """`f(x)` is the model's score, unless `where` gives x a value."""
        if not self.sees("(") or self.peek().text != "x" or "x" in self.defined or base in self.defined:
            return False
        place = self.place
        self.take()
        self.take()
        self.index("x")
        if self.eat(")"):
            return True
        self.place = place
        return False

    def by_label(self, node: Node, base: str, span: Span) -> Node:
        self.notes.append(f"{base}_t is read as {base} where label is 1, as 1-{base} where it is 0")
        one = Number(Fraction(1), span=span)
        condition = apply("ge", Name("label", span=span), one, span=span)
        return apply("if", condition, node, apply("sub", one, node, span=span), span=span)

    def settle(self, root: Node) -> tuple[Node, dict[str, tuple[str, int]]]:
        """Names with an index: one index counts predictions and is dropped; two of a letter are a pair's scores."""
        indices: dict[str, list[str]] = {}
        for base, index in self.indexed.values():
            if index not in indices.setdefault(base, []):
                indices[base].append(index)
        pairs: dict[str, tuple[str, int]] = {}
        plain: dict[str, str] = {}
        for raw, (base, index) in self.indexed.items():
            letter = base.removeprefix("hat ")
            if len(indices[base]) == 1:
                meaning = _HATTED[letter] if base != letter else ALIASES.get(letter, letter)
                plain[raw] = meaning
                self.notes.append(f"the index of `{letter}_{index}` is dropped")
            elif len(indices[base]) == 2 and (side := self.side(index, indices[base])):
                pairs[raw] = (base, side)
        new: dict[Node, Node] = {}
        for node in walk(root):
            if isinstance(node, Name) and node.name in plain:
                new[node] = Name(plain[node.name], span=node.span)
            elif isinstance(node, Name) and node.name in self.indexed and node.name not in pairs:
                letter = self.indexed[node.name][0].removeprefix("hat ")
                raise self.mark.at(
                    "LD306", f"the indices of `{letter}` do not say which prediction is meant", node,
                    "one index for a single prediction; i and j, or + and -, for a pair",
                )  # fmt: skip
            elif isinstance(node, Apply):
                args = tuple(new[a] for a in node.args)
                new[node] = node if all(a is b for a, b in zip(args, node.args)) else Apply(node.op, args, span=node.span)
            else:
                new[node] = node
        return new[root], pairs

    def side(self, index: str, both: list[str]) -> int:
        """+1 for the index of the one to be ranked higher, -1 for the other, 0 where that is not clear."""
        other = both[0] if both[1] == index else both[1]
        shared = len(commonprefix([index, other]))
        ends = (index[shared:], other[shared:])
        return 1 if ends in _PAIRED else -1 if ends[::-1] in _PAIRED else 0

    def since(self, token: Token) -> Span:
        """From a token to the one taken last."""
        return Span(token.start, self.tokens[self.place - 1].end)
