"""Other spellings of a formula: Python code, LaTeX, AutoLossGen's search log. All end in the same tree."""

from __future__ import annotations

import re
from dataclasses import replace

from lossdsl.errors import LossError, LossSyntaxError, Span
from lossdsl.grammar.limits import check_size, check_text
from lossdsl.grammar.naming import finish
from lossdsl.grammar.operators import ALIASES
from lossdsl.grammar.parser import Parsed
from lossdsl.grammar.parser import read as read_lossdsl
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import VARIABLES, Binding, Tree
from lossdsl.grammar.where import read_where_at, split_where

DIALECTS = ("lossdsl", "python", "latex", "autolossgen", "autolossgen-plain")

_LATEX = re.compile(r"\\[A-Za-z(\[]|\$|[_^]\s*\{")
_PYTHON = re.compile(
    r"\b(?:torch|np|numpy|F|tf|K|math|jnp|nn|jax|keras|self)\s*\.\s*[A-Za-z_]"
    r"|[\w)\]]\s*\.\s*[A-Za-z_]\w*\s*\("
    r"|\b(?:return|lambda|def)\b|==|!="
    r"|^[ \t]*[A-Za-z_]\w*[ \t]*(?:[-+*/]|\*\*)?=(?!=)",
    re.ASCII | re.DOTALL | re.MULTILINE,
)
_IF = re.compile(r"\bif\b(?P<call>\s*\()?")
_LOG_LINE = re.compile(r"\bLog\s*\(|\b(?:Sigmoid|Sqrt|Tanh|ReLU) \(")
_TEXT_WHERE = re.compile(r"\\(?:text|mathrm|textrm)\s*\{\s*(?:where|with)\s*\}")
_VALUE = re.compile(
    r"(?:\\q?quad\b|\\[,;:! ]|\s)*(?P<name>\\?[A-Za-z]+(?:_(?:\w|\{\w+\}))?)"
    r"\s*=\s*-?[0-9.]+(?:[eE]-?[0-9]+|/[0-9]+)?\s*",
    re.ASCII,
)
_LOGIT_NOTE = "pred is read as a probability here; if yours is a logit, call it score"
_CLOSING = " \t\r\n.$"
_FONT = re.compile(r"\\(?:mathrm|operatorname|mathit|text)\s*\{((?:\w|\\_)+)\}")
_ASIDE = re.compile(r"\#[^\n]*|\"{3}(?:.|\n)*?\"{3}|'{3}(?:.|\n)*?'{3}|'[^'\n]*'|\"[^\"\n]*\"")
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def read(text: str, dialect: str = "auto") -> Parsed:
    """Read a formula in one of `DIALECTS`, or in the one that `auto` finds; `.dialect` of the result says which.

    Raises `LossSyntaxError` for what cannot be read and `LossError` for a dialect that does not exist.

    >>> from lossdsl.grammar.dialects import read
    >>> from lossdsl.grammar.printer import show
    >>> found = read("-torch.log(torch.sigmoid(pos_score - neg_score)).mean()")
    >>> found.dialect, show(found.tree), found.pairwise
    ('python', '-log(sigmoid(score))', True)
    >>> show(read(r"-y\\log\\hat{y} - (1-y)\\log(1-\\hat{y})").tree)
    '-label*log(pred) - (1-label)*log(1-pred)'
    >>> show(read("Log ((pred + 1))", "autolossgen").tree)
    'clamp(plog(clamp(pred+1, 1e-5, 1e5)), 1e-5, 1e5)'
    """
    if dialect == "auto":
        return _automatic(text)
    if dialect not in DIALECTS:
        raise LossError(f"unknown dialect `{dialect}`: there are {', '.join(DIALECTS)} and auto")
    if dialect == "lossdsl":
        return read_lossdsl(text)
    check_text(text)
    try:
        return replace(_other(text, dialect), dialect=dialect)
    except RecursionError:  # only where the caller's own stack is nearly used up
        raise LossSyntaxError(
            "LD037", "the formula is nested too deep", text, Span(0, len(text)), "shorten it"
        ) from None


def write(tree: Tree, dialect: str) -> str:
    """A tree in one of `DIALECTS`; reading it back gives an equal function.

    Raises `LossError` where the dialect cannot say it: AutoLossGen has few operators. LaTeX can say every tree.

    >>> from lossdsl.grammar.dialects import write
    >>> from lossdsl.grammar.parser import read
    >>> tree = read("-y*log(p) + max(s, 0)^2").tree
    >>> write(tree, "python")
    '-label*torch.log(pred) + torch.clamp(score, min=0)**2'
    >>> print(write(tree, "latex"))
    -y \\log\\left(\\hat{y}\\right) + \\left(\\max\\left(s, 0\\right)\\right)^{2}
    """
    if dialect == "lossdsl":
        return show(tree)
    if dialect == "python":
        from lossdsl.grammar.dialects.python_writer import write_python

        return write_python(tree)
    if dialect == "latex":
        from lossdsl.grammar.dialects.latex_writer import write_latex

        return write_latex(tree)
    if dialect in ("autolossgen", "autolossgen-plain"):
        from lossdsl.grammar.dialects.autolossgen_writer import write_log

        return write_log(tree, dialect == "autolossgen")
    raise LossError(f"unknown dialect `{dialect}`: there are {', '.join(DIALECTS)}")


def choose(text: str) -> str:
    """The dialect that a text looks like: `latex`, `python` or `lossdsl`.

    >>> from lossdsl.grammar.dialects import choose
    >>> choose(r"-\\log \\hat{y}"), choose("-np.log(p)"), choose("-log(p)")
    ('latex', 'python', 'lossdsl')
    """
    body = text[: split_where(text)]
    if _LATEX.search(body):
        return "latex"
    conditional = _IF.search(body)
    if conditional is not None and "else" in body:
        return "python"
    if conditional is not None and conditional["call"]:
        return "lossdsl"  # if(a < b, x, y), whatever else is wrong with it
    if _PYTHON.search(body) or any(_only_python(word) for word in _WORD.findall(body)):
        return "python"
    return "lossdsl"


def _only_python(word: str) -> bool:
    """A function or a pair's member that lossdsl's own dialect has no word for."""
    from lossdsl.grammar.dialects.meaning import is_pair_name
    from lossdsl.grammar.dialects.python_functions import FUNCTIONS, REDUCTIONS
    from lossdsl.grammar.operators import OPERATORS

    if word in OPERATORS:
        return False
    return word in FUNCTIONS or word in REDUCTIONS or is_pair_name(word) is not None


def _automatic(text: str) -> Parsed:
    try:
        return read_lossdsl(text)
    except LossSyntaxError as error:
        if error.code in ("LD001", "LD030"):
            raise
        dialect = choose(text)
        if dialect != "lossdsl":
            return read(text, dialect)
        if _LOG_LINE.search(text):
            hint = "a line of AutoLossGen's log is read by --dialect autolossgen (as trained) or autolossgen-plain"
            raise LossSyntaxError(error.code, error.message, text, error.span, hint) from None
        raise


def _where(text: str, code: bool) -> tuple[int, tuple[Binding, ...]]:
    """The end of the body and its bindings; of code, a comment or a text that has the word `where` says nothing."""
    end = split_where(_ASIDE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text) if code else text)
    return end, read_where_at(text, end)


def _latex_where(text: str) -> tuple[int, tuple[Binding, ...]]:
    r"""The same for `\text{where } \gamma = 2`: the commands become blanks, so that all places stay."""
    worded = list(_TEXT_WHERE.finditer(text))
    plain = _TEXT_WHERE.sub(lambda m: f"{'where':>{len(m[0])}}", text)
    end = split_where(plain)
    start = next((m.start() for m in worded if m.start() <= end < m.end()), end)
    if end == len(plain) and (comma := _values_behind(plain)) < end:
        start, end = comma, comma - 4
        closing = len(plain.rstrip(_CLOSING))
        plain = f"{plain[:end]}where{plain[comma + 1 : closing]}{' ' * (len(plain) - closing)}"
    tail = _FONT.sub(_unfont, plain[end:])
    tail = re.sub(r"_\{(\w+)\}", r"_\1  ", tail)
    tail = re.sub(r"\\q?quad\b|\\[,;:!]|[\\{}$]", lambda m: " " * len(m[0]), tail)
    try:
        return start, read_where_at(plain[:end] + tail, end)
    except LossSyntaxError as error:
        raise LossSyntaxError(error.code, error.message, text, error.span, error.hint) from None


def _values_behind(text: str) -> int:
    r"""Where `, \gamma = 2, \alpha = 0.25` begins at the end of a formula, or the length of the text."""
    begin, end = len(text), len(text.rstrip(_CLOSING))
    while True:
        comma = text.rfind(",", 4, end)
        while comma > 0 and text[comma - 1] == "\\":  # a thin space
            comma = text.rfind(",", 4, comma)
        value = _VALUE.fullmatch(text, comma + 1, end) if comma > 0 else None
        if value is None or value["name"] in (*VARIABLES, *ALIASES):
            return begin
        begin = end = comma


def _unfont(match: re.Match[str]) -> str:
    return match[1].replace("\\_", "_").rjust(len(match[0]))


def _other(text: str, dialect: str) -> Parsed:
    from lossdsl.grammar.dialects.meaning import (
        is_pair_name,
        pair_differences,
        refuse_ambiguous,
        refuse_p_as_power,
        squashed,
        strip_reductions,
    )
    from lossdsl.grammar.dialects.scan import Mark
    from lossdsl.grammar.dialects.shares import read_shares

    end, where = _latex_where(text) if dialect == "latex" else _where(text, dialect == "python")
    defined = [b.name for b in where]
    notes: list[str]
    members: dict[str, tuple[str, int]] | None = None
    if dialect.startswith("autolossgen"):
        from lossdsl.grammar.dialects import autolossgen

        trained = dialect == "autolossgen"
        root = autolossgen.read_root(text, end, trained)
        notes = [autolossgen.TRAINED_NOTE, autolossgen.IDENTITY_NOTE] if trained else []
        return Parsed(finish(root, where, text), notes=tuple(notes))
    if dialect == "python":
        from lossdsl.grammar.dialects import python, python_values

        known = {**{v: v for v in VARIABLES}, **ALIASES, **python_values.ALIASES}
        names = {k: v for k, v in known.items() if k not in defined}
        root, notes = python.read_root(text, end, names, defined)
    else:
        from lossdsl.grammar.dialects import latex

        root, notes, members = latex.read_root(text, end, frozenset(defined))
    check_size(root, text)  # before anything compares parts with each other
    mark = Mark(text)
    refuse_p_as_power(root, mark)  # while every name still stands at its own place
    root, reduction = strip_reductions(root, mark, defined)
    if reduction is not None:
        notes.append(f"the {reduction} over the batch is dropped: a formula is the loss of one prediction")
    side = is_pair_name if members is None else members.get
    root, shared = read_shares(root, lambda name: None if name in defined else side(name))
    if shared:
        notes.append("exp(a)/(exp(a) + exp(b)) is read as sigmoid(a - b), which is the same")
    root, difference = pair_differences(root, mark, defined, members)
    if difference is not None:
        notes.append(f"{difference} is read as score, the loss as pairwise")
    refuse_ambiguous(root, mark, defined)
    tree = finish(root, where, text)
    if squashed(tree.root) and not any("is read as a probability here" in note for note in notes):
        notes.append(_LOGIT_NOTE)
    return Parsed(tree, pairwise=difference is not None, notes=tuple(notes))
