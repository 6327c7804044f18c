"""The tokens of a formula in LaTeX: layout dropped, words and letters told apart, fences paired."""

from __future__ import annotations

import re
from collections.abc import Collection

from lossdsl.grammar.characters import stray
from lossdsl.grammar.dialects.scan import CLOSES, Mark, Token
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import VARIABLES

GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
_VARIANTS = {
    "varepsilon": "epsilon",
    "vartheta": "theta",
    "varphi": "phi",
    "varrho": "rho",
    "varsigma": "sigma",
    "ell": "l",
}
# Commands that are functions by themselves; `\operatorname{…}` gives the others.
COMMAND_FUNCTIONS = {
    "log": "log", "ln": "log", "exp": "exp", "tanh": "tanh", "cosh": "cosh", "sinh": "sinh", "max": "max", "min": "min",
}  # fmt: skip
WORD_FUNCTIONS = {
    **{name: name for name, row in OPERATORS.items() if row.is_function},
    "ln": "log", "ReLU": "relu", "sgn": "sign", "logit": "logit", "LogSigmoid": "logsigmoid", "Sigmoid": "sigmoid",
    "Softplus": "softplus", "clip": "clamp", "cosh": "cosh", "sinh": "sinh",
}  # fmt: skip
CONDITION_WORDS = frozenset("if for when where otherwise else and or".split())

_LAYOUT = frozenset(
    "displaystyle textstyle limits nolimits quad qquad nonumber notag bigl bigr big Big Bigl Bigr bigg Bigg biggl "
    "biggr Biggl Biggr middle mathop mathopen mathclose mathstrut".split()
)
_FONTS = frozenset(
    "mathrm text mbox operatorname mathit textit mathsf mathtt mathbf texttt textrm mathcal boldsymbol bm".split()
)
_SIGNS = {
    "cdot": "*", "times": "*", "ast": "*", "div": "/",
    "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">",
    "lvert": "|(", "rvert": ")|", "vert": "|", "mid": "|", "lVert": "|(", "rVert": ")|", "Vert": "|",
    "lbrace": "(", "rbrace": ")", "lbrack": "[", "rbrack": "]",
    "coloneqq": "=", "triangleq": "=", "equiv": "=",
}  # fmt: skip
_HATS = frozenset(("hat", "widehat"))  # a bar is a mean, a tilde a noisy label
KNOWN_COMMANDS = (*COMMAND_FUNCTIONS, *sorted(GREEK), *_SIGNS, *sorted(_HATS), "frac", "sqrt", "sum", "sigma", "text")
_TOKEN = re.compile(
    r"(?P<space>[\s~]+|\\[,;:! ]|\$+|\\[\[\]()])"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<letters>[A-Za-z]+)"
    r"|\\(?P<command>[A-Za-z]+)\*?"
    r"|(?P<row>\\\\)"
    r"|\\(?P<escaped>[{}|&%_])"
    r"|(?P<sign>:=|<=|>=|[-+*/^_(){}\[\]|<>=,.:;&!'])",
    re.ASCII,
)
_BRACED = re.compile(r"\s*\{\s*((?:[A-Za-z]|\\_)(?:\w|\\_)*|1)\s*\.?\s*\}", re.ASCII)
_WORDS = re.compile(r"\s*\{([^{}]*)\}")
_CONDITION = re.compile(r"\s*\{\s*(if|for|when)\b(?!\s*\})")
_REST = re.compile(r"(?:[^{}]|\{[^{}]*\})*\}")
_ENVIRONMENT = re.compile(r"\s*\{\s*([a-z]+)\*?\s*\}(\{[lcr|@{} ]*\})?", re.ASCII)


def scan(source: str, end: int, defined: Collection[str]) -> list[Token]:
    """The tokens of `source[:end]`.

    Kinds: `number`; `word` for a name or a spelled-out function; `function` for `\\log` and the like; `command`; `hat`;
    `begin` and `end-cases`; `sign`. A run of letters is one word where it is known, else a product of letters.
    """
    return _Scanner(source, end, defined).run()


class _Scanner:
    def __init__(self, source: str, end: int, defined: Collection[str]) -> None:
        self.source = source
        self.end = end
        self.mark = Mark(source)
        self.tokens: list[Token] = []
        self.words = {*VARIABLES, *WORD_FUNCTIONS, *(d for d in defined if len(d) > 1)} - {"if"}
        self.place = 0
        self.cases = 0  # how many environments are open in which & and \\\\ mean something
        self.closed: set[int] = set()  # places of braces that were opened by a command which is dropped

    def add(self, kind: str, text: str, start: int, end: int) -> None:
        self.tokens.append(Token(kind, text, start, end))

    def run(self) -> list[Token]:
        while self.place < self.end:
            match = _TOKEN.match(self.source, self.place, self.end)
            if match is None:
                raise stray(self.source, self.place)
            start, self.place = self.place, match.end()
            kind = str(match.lastgroup)
            text = match[kind]
            if kind == "letters":
                self.letters(text, start)
            elif kind == "command":
                self.command(text, start)
            elif kind == "escaped":
                self.escaped(text, start)
            elif kind == "row" or text == "&":
                if self.cases:  # elsewhere they lay out a formula of several lines
                    self.add("sign", text, start, self.place)
            elif kind != "space" and start not in self.closed:
                self.add("number" if kind == "number" else "sign", "=" if text == ":=" else text, start, self.place)
        while self.tokens and self.tokens[-1].text in (".", ",", ";") and self.tokens[-1].kind == "sign":
            self.tokens.pop()
        self.add("end", "", self.end, self.end)
        return self.tokens

    def letters(self, text: str, start: int) -> None:
        if text in self.words:
            self.add("word", text, start, start + len(text))
            return
        for offset, letter in enumerate(text):
            self.add("word", letter, start + offset, start + offset + 1)

    def escaped(self, text: str, start: int) -> None:
        sign = {"{": "(", "}": ")", "|": "|"}.get(text)
        if sign is None:
            raise self.mark.error("LD009", f"`\\{text}` does not belong in a formula", start, self.place)
        self.add("sign", sign, start, self.place)

    def command(self, name: str, start: int) -> None:
        if name in ("left", "right"):
            self.fence(name, start)
        elif name in _FONTS:
            self.word(name, start)
        elif name in ("mathbb", "mathds", "mathbbm"):
            self.blackboard(start)
        elif name in ("begin", "end"):
            self.environment(name, start)
        elif name in ("label", "tag"):
            close = self.source.find("}", self.place, self.end)
            self.place = close + 1 if close >= 0 else self.end
        elif name in _SIGNS:
            self.add("sign", _SIGNS[name], start, self.place)
        elif name in GREEK or name in _VARIANTS:
            self.add("word", _VARIANTS.get(name, name), start, self.place)
        elif name in COMMAND_FUNCTIONS:
            self.add("function", name, start, self.place)
        elif name in _HATS:
            self.add("hat", name, start, self.place)
        elif name not in _LAYOUT:
            self.add("command", {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac"}.get(name, name), start, self.place)

    def fence(self, name: str, start: int) -> None:
        """`\\left(`: the bracket alone counts; `\\right.` stands for nothing."""
        match = re.compile(r"\s*(\.|\\\||\\[{}]|\\[A-Za-z]+|[\[\]()|<>/])").match(self.source, self.place, self.end)
        if match is None:
            raise self.mark.error(
                "LD006", f"a bracket is missing after `\\{name}`", start, self.place, f"as in \\{name}("
            )
        self.place = match.end()
        text = match[1]
        ahead = self.source[self.place : self.end].lstrip()
        if text == "." or (text in ("\\{", "\\lbrace") and ahead.startswith("\\begin")):
            return
        if text in ("|", "\\|", "\\vert", "\\Vert", "\\lvert", "\\rvert", "\\lVert", "\\rVert"):
            self.add("sign", "|(" if name == "left" else ")|", start, self.place)
        else:
            plain = {"\\{": "(", "\\}": ")", "\\lbrace": "(", "\\rbrace": ")", "\\lbrack": "[", "\\rbrack": "]"}.get(
                text, text
            )
            if plain not in CLOSES and plain not in CLOSES.values():
                raise self.mark.error("LD305", f"`\\{name}{text}` is no bracket of a formula", start, self.place)
            self.add("sign", plain, start, self.place)

    def word(self, font: str, start: int) -> None:
        """`\\mathrm{pred}`: one word. Anything but a word in the braces is read as if the font were not there."""
        match = _BRACED.match(self.source, self.place, self.end)
        if match is None or match[1] == "1":
            if match is not None and font in ("mathbf", "boldsymbol", "bm"):
                self.place = match.end()
                self.add("indicator", "1", start, self.place)
            elif font in ("text", "textrm", "mbox") and self.condition(start):
                pass
            elif font in ("text", "textrm", "mbox"):
                words = _WORDS.match(self.source, self.place, self.end)
                if words is not None:
                    self.place = words.end()
                    self.add("words", words[1], start, self.place)
            return
        self.place = match.end()
        text = match[1].replace("\\_", "_")
        if text in CONDITION_WORDS and font in ("text", "mathrm", "textrm", "textit"):
            self.add("condition", text, start, self.place)
        else:
            self.add("script" if font == "mathcal" else "word", text, start, self.place)

    def condition(self, start: int) -> bool:
        r"""`\text{if $y = 1$}`: the word, and what stands behind it in the same braces."""
        match = _CONDITION.match(self.source, self.place, self.end)
        if match is None:
            return False
        rest = _REST.match(self.source, match.end(), self.end)
        if rest is None:
            return False
        self.closed.add(rest.end() - 1)
        self.place = match.end()
        self.add("condition", match[1], start, self.place)
        return True

    def blackboard(self, start: int) -> None:
        match = re.compile(r"\s*\{?\s*([1IE])\s*\}?").match(self.source, self.place, self.end)
        if match is None:
            raise self.mark.error("LD305", "this letter has no meaning in a formula", start, self.place)
        self.place = match.end()
        self.add("command" if match[1] == "E" else "indicator", match[1], start, self.place)

    def environment(self, name: str, start: int) -> None:
        match = _ENVIRONMENT.match(self.source, self.place, self.end)
        kind = match[1] if match else ""
        if match is not None:
            self.place = match.end()
        if kind in ("cases", "array", "dcases"):
            self.cases += 1 if name == "begin" else -1
            self.add("begin" if name == "begin" else "end-cases", kind, start, self.place)
        elif kind not in ("equation", "align", "aligned", "gather", "split", "displaymath", "math"):
            message = f"`\\{name}{{{kind}}}` has no meaning in a formula"
            raise self.mark.error("LD305", message, start, self.place, "of environments, cases is read")
