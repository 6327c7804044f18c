r"""Loss functions as they stand in papers: `-y\log\hat{y} - (1-y)\log(1-\hat{y})`.

SymPy has a Lark grammar for LaTeX, but what it builds evaluates itself (x/x becomes 1, 0*log(p) becomes 0), and it
knows neither \hat nor \sigma(\cdot). So this is a reader of our own: a product without a sign, functions without
brackets, bars, cases, indices that count predictions. Where two readings are common it refuses and says how to write
either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.dialects.latex_functions import OPENS, Functions
from lossdsl.grammar.dialects.latex_scan import WORD_FUNCTIONS, scan
from lossdsl.grammar.dialects.meaning import COMPARISONS
from lossdsl.grammar.dialects.scan import Token, apply, check_brackets, number
from lossdsl.grammar.limits import check_size
from lossdsl.grammar.operators import ALIASES
from lossdsl.grammar.tree import VARIABLES, Apply, Name, Node, Number, walk

_COUNTS = frozenset("N n M m B K T D S U".split())  # how many predictions a sum runs over


def read_root(source: str, end: int, defined: Collection[str]) -> tuple[Node, list[str], dict[str, tuple[str, int]]]:
    """The tree of `source[:end]`, what to say of the reading, and which names are members of pairs."""
    tokens = scan(source, end, defined)
    check_brackets(source, tokens)
    reader = _Reader(source, tokens, defined)
    reader.drop_prefix()
    root = reader.expression()
    if reader.next.kind != "end":
        raise reader.surplus()
    check_size(root, source)  # before anything compares parts with each other
    root, pairs = reader.settle(root)
    if "\\sigma" in source and any(_exponential_of_sigmoid(node) for node in walk(root)):
        reader.notes.append(r"\sigma is read as the sigmoid; where it is a factor, add `where \sigma = 1`")
    return root, list(dict.fromkeys(reader.notes)), pairs


def _exponential_of_sigmoid(node: Node) -> bool:
    r"""e^{-\sigma (s_i - s_j)}, where RankNet's paper means a factor."""
    if not (isinstance(node, Apply) and node.op == "exp"):
        return False
    inner = node.args[0]
    if isinstance(inner, Apply) and inner.op == "neg":
        inner = inner.args[0]
    return isinstance(inner, Apply) and inner.op == "sigmoid"


class _Reader(Functions):
    def drop_prefix(self) -> None:
        r"""`\mathcal{L}(y, p) =` in front says nothing that a formula needs."""
        depth = 0
        places = []
        for place, token in enumerate(self.tokens):
            if token.kind == "sign":
                depth += (token.text in OPENS) - (token.text in OPENS.values())
            depth += (token.kind == "begin") - (token.kind == "end-cases")
            if token.text == "=" and token.kind == "sign" and depth == 0:
                places.append(place)
        if not places:
            return
        if len(places) > 1:
            raise self.mark.at(
                "LD306", "several equals signs stand in a row", self.tokens[places[1]], "keep one formula"
            )
        if places[0] == 0:
            raise self.mark.at("LD011", "nothing stands before `=`", self.tokens[0], "take it away")
        left = self.tokens[: places[0]]
        if any(t.kind == "condition" for t in left) or (len(left) == 1 and left[0].text in (*VARIABLES, *ALIASES)):
            hint = r"a condition belongs into cases: \begin{cases} a & y = 1 \\ b & \text{otherwise} \end{cases}"
            raise self.mark.at("LD011", "`=` cannot stand here", self.tokens[places[0]], hint)
        stray = next((t for t in self._beyond_a_name(left)), None)
        if stray is not None:
            hint = r"values of parameters come at the end: where \gamma = 2"
            raise self.mark.at("LD306", "the formula stands on the left of `=`", stray, hint)
        shown = self.source[self.tokens[0].start : self.tokens[places[0]].end]
        self.notes.append(f"`{shown}` is dropped")
        self.place = places[0] + 1
        while self.eat("&"):
            pass

    def _beyond_a_name(self, left: list[Token]) -> Iterator[Token]:
        r"""What a left side holds beside a name with indices and arguments, as in `\mathcal{L}_{i}(y, p)`.

        Such a side is part of the formula: to drop it would lose the loss.
        """
        depth = 0
        for place, token in enumerate(left):
            if token.kind == "sign" and token.text in OPENS.values():
                depth -= 1
            if depth == 0:
                raised = place > 0 and left[place - 1].text in ("_", "^")
                spelled = place > 0 and left[place - 1].end == token.start  # the letters of a word, as in Loss
                variable = token.text in (*VARIABLES, *ALIASES) and not spelled
                bracket = token.kind == "sign" and (token.text in OPENS or token.text in OPENS.values())
                mark = token.kind == "sign" and token.text in ("_", "^", "&", "'")
                word = token.kind in ("word", "words", "script") and not variable
                if not (raised or word or bracket and token.text != "|" or mark) or (place == 0 and not word):
                    yield token
            if token.kind == "sign" and token.text in OPENS:
                depth += 1

    def surplus(self) -> LossSyntaxError:
        token = self.next
        if token.text == "=" and token.kind == "sign":
            return self.mark.at(
                "LD011", "`=` cannot stand here", token, r"write L = \dots, or a condition inside cases"
            )
        if token.kind == "sign" and token.text in COMPARISONS:
            return self.mark.at(
                "LD013",
                "a comparison stands outside of cases",
                token,
                r"\begin{cases} a & x > 0 \\ b & \text{otherwise} \end{cases}",
            )
        if token.kind in ("command", "words", "script"):
            return self.unknown(token)
        return self.mark.at("LD004", f"`{self.mark.spelled(token)}` does not belong here", token)

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
                # 1/2 x is common and means a half of x
                divided = not (isinstance(left, Number) and isinstance(right, Number))
                left = apply("div", left, right)
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
        if self.sees("_") and start.text in ("|", "|("):
            self.take()
            self.skip_script()  # which norm: of a number they are all the same
        if self.sees("_") and start.text in ("(", "["):
            self.take()
            plus = self.take()
            if plus.text == "{" and self.sees("+"):
                plus = self.take()
                self.need("}", "`_{+`")
            if plus.text != "+":
                raise self.mark.at(
                    "LD305", "this index has no meaning in a formula", plus, "[x]_+ is read as max(0, x)"
                )
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
        raise (
            self.no_operand()
            if token.kind != "sign" or token.text != "-"
            else self.mark.at("LD306", "TeX raises the minus alone", token, "write ^{-1}")
        )

    def group(self) -> Node:
        """What stands between two brackets of any kind."""
        opened = self.take()
        outer, self.bar_open = self.bar_open, False
        if self.next.text == OPENS[opened.text] and self.next.kind == "sign":
            raise self.no_operand()
        node = self.expression()
        self.bare = None
        self.bar_open = outer
        self.shut(OPENS[opened.text])
        return node

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
        if token.kind in ("command", "words", "script"):
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
            if isinstance(above, Apply) and above.op == "sum" and self.is_count(below):
                return apply("mean", *above.args, span=self.since(token))
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
        raise self.mark.at(
            "LD004", f"an argument of `{self.mark.spelled(command)}` is missing", command, r"\frac{a}{b}"
        )

    def reduction(self) -> Node:
        r"""`\sum_{i=1}^{N}` and `\mathbb{E}`: taken away later, if they stand around the whole."""
        token = self.take()
        while sign := self.eat("_", "^"):
            if self.skip_script().startswith("c") and sign.text == "_":
                message = "a sum over c runs over classes, not over predictions"
                hint = r"write the two classes out: -y \log p - (1-y) \log(1-p)"
                raise self.mark.error("LD306", message, token.start, self.tokens[self.place - 1].end, hint)
        body = self.product() if token.text == "sum" else self.factor()
        if isinstance(body, Apply) and body.op == "div" and self.is_count(body.args[1]):
            return apply("mean", body.args[0], span=self.since(token))
        return apply("sum" if token.text == "sum" else "mean", body, span=self.since(token))
