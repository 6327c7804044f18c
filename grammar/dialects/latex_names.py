"""Names in LaTeX: hats, indices, and what `p_t` stands for."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from os.path import commonprefix

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.dialects.latex_scan import GREEK, KNOWN_COMMANDS
from lossdsl.grammar.dialects.scan import Cursor, Token, apply
from lossdsl.grammar.naming import absent, unknown_function
from lossdsl.grammar.operators import ALIASES
from lossdsl.grammar.suggest import nearest
from lossdsl.grammar.tree import VARIABLES, Apply, Name, Node, Number, walk

_HATTED = {"y": "pred", "p": "pred", "s": "score", "x": "score", "z": "score", "r": "score", "f": "score"}
# Letters whose indices say which prediction is meant. With two indices that differ, they are a pair's scores.
_INDEXED = frozenset("y p s x f z r score pred label".split())
_CALLED = frozenset(("call f", "call s"))  # f(x) and s(x), the model's score of an item
_RANKED = frozenset("s x f z r score".split()) | {f"hat {letter}" for letter in "yxzrsf"} | _CALLED
# An index of these letters counts predictions, users or items. Any other, as in p_m, means something.
_COUNTING = frozenset("bdijklnuv")
_PAIRED = frozenset(
    (
        ("i", "j"),
        ("plus", "minus"),
        ("+", "-"),
        ("pos", "neg"),
        ("positive", "negative"),
        ("p", "n"),
        ("1", "2"),
        ("w", "l"),
    )
)


class Names(Cursor):
    """A cursor that reads names, and knows what they stand for when the whole has been read."""

    def __init__(self, source: str, tokens: list[Token], defined: Collection[str]) -> None:
        super().__init__(source, tokens)
        self.defined = defined
        self.notes: list[str] = []
        self.bar_open = False
        self.bare: Token | None = None  # the function whose argument without brackets was read last
        self.indexed: dict[str, tuple[str, str]] = {}

    def name(self) -> Node:
        """A letter or a word, with hat and index."""
        start = self.next
        hat = self.eat_hat()
        token = self.take()
        base = token.text
        if hat is not None and base not in _HATTED:
            raise self.mark.at(
                "LD305", f"a hat on `{base}` has no meaning in a formula", token, r"the prediction is \hat{y}"
            )
        if hat is not None:
            self.need("}", "the hat's letter") if self.hat_braced else None
        index = self.index(base)
        span = self.since(start)
        if hat is None and base in ("f", "s") and (inner := self.model_call(base)) is not None:
            raw = f"call {base} {index}{inner}"  # which call it is: two that differ are a pair's, or nobody knows what
            self.indexed[raw] = (f"call {base}", f"{index}{inner}")
            return Name(raw, span=self.since(start))
        if index and f"{base}_{index}" in self.defined:
            return Name(f"{base}_{index}", span=span)
        if index == "t" and base in ("p", "alpha") and (base in self.defined) == (base == "alpha"):
            return self.by_label(Name("pred" if base == "p" else base, span=span), base, span)
        if hat is None and f"{base}_{index}" in ALIASES:
            return Name(ALIASES[f"{base}_{index}"], span=span)
        if hat is None and base in self.defined and counts(index):
            if index:
                self.notes.append(f"the index of `{base}_{index}` is dropped")
            return Name(base, span=span)
        meaning = _HATTED[base] if hat is not None else ALIASES.get(base, base)
        if meaning not in VARIABLES and len(base) > 1 and base not in GREEK and self.sees("("):
            raise unknown_function(base, span, self.source, self.defined)
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

    def model_call(self, base: str) -> str | None:
        """`f(x_i)` is the model's score, unless `where` gives x a value: the index of x, which may be empty."""
        if not self.sees("(") or self.peek().text != "x" or "x" in self.defined or base in self.defined:
            return None
        place = self.place
        self.take()
        self.take()
        index = self.index("x")
        if self.eat(")"):
            return index
        self.place = place
        return None

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
            if len(indices[base]) == 1 and base in _CALLED:
                plain[raw] = "score"
            elif len(indices[base]) == 1 and counts(index):
                meaning = _HATTED[letter] if base != letter else ALIASES.get(letter, letter)
                plain[raw] = meaning
                self.notes.append(f"the index of `{letter}_{index}` is dropped")
            elif base in _RANKED and len(indices[base]) == 2 and (side := self.side(index, indices[base])):
                pairs[raw] = (base, side)
        new: dict[Node, Node] = {}
        for node in walk(root):
            if isinstance(node, Name) and node.name in plain:
                if self.indexed[node.name][0] in _CALLED:
                    self.notes.append(f"`{self.mark.shown(node)}` is read as score")
                new[node] = Name(plain[node.name], span=node.span)
            elif isinstance(node, Name) and node.name in self.indexed and node.name not in pairs:
                raise self.unclear(node, *self.indexed[node.name], len(indices[self.indexed[node.name][0]]))
            elif isinstance(node, Apply):
                args = tuple(a if new[a] == a and isinstance(a, Name) else new[a] for a in node.args)
                new[node] = (
                    node if all(a is b for a, b in zip(args, node.args)) else Apply(node.op, args, span=node.span)
                )
            else:
                new[node] = node
        return new[root], pairs

    def unclear(self, node: Name, base: str, index: str, count: int) -> LossSyntaxError:
        """The error for an index that does not count predictions, or for two that make no pair."""
        letter = base.removeprefix("hat ").removeprefix("call ")
        if count == 1:
            message = f"what the index of `{self.mark.shown(node)}` says is not clear"
            hint = "an index such as i is dropped; write out what any other stands for"
        else:
            message = f"the indices of `{letter}` do not say which prediction is meant"
            hint = "one index for a single prediction; i and j, or + and -, for a pair"
        return self.mark.at("LD306", message, node, hint)

    def side(self, index: str, both: list[str]) -> int:
        """+1 for the index of the one to be ranked higher, -1 for the other, 0 where that is not clear."""
        other = both[0] if both[1] == index else both[1]
        shared = len(commonprefix([index, other]))
        ends = (index[shared:], other[shared:])
        return 1 if ends in _PAIRED else -1 if ends[::-1] in _PAIRED else 0

    def unknown(self, token: Token) -> LossSyntaxError:
        """The error for a command that no formula holds."""
        spelled = self.mark.spelled(token)
        if token.kind == "script":
            message = f"`{spelled}` is not written out"
            return self.mark.at("LD305", message, token, "write the formula that it stands for")
        close = nearest(token.text, KNOWN_COMMANDS)
        guess = f"did you mean `\\{close}`?" if close else "`lossdsl explain LD305` says what is read"
        hint = absent(token.text) or guess
        if token.text in ("int", "prod", "lim", "partial", "nabla"):
            hint = "a formula is the loss of one prediction, made of the functions that `lossdsl explain LD002` lists"
        return self.mark.at("LD305", f"`{spelled}` has no meaning in a formula", token, hint)

    def since(self, token: Token) -> Span:
        """From a token to the one taken last."""
        return Span(token.start, self.tokens[self.place - 1].end)


def counts(index: str) -> bool:
    """Whether an index says nothing but which prediction is meant."""
    return all(letter in _COUNTING for letter in index)
