"""Characters that no formula holds: what they are called, and what to write in their place."""

from __future__ import annotations

import unicodedata

from lossdsl.errors import LossSyntaxError, Span

# Letters that look like a Latin one. Cyrillic and Greek come in by keyboard layout and by copying from papers.
_LATIN = dict(
    zip(
        "асеорхуіјѕһԁԛԝАВСЕНІЈКМОРЅТХУοινΑΒΕΖΗΙΚΜΝΟΡΤΥΧıℓ",
        "aceopxyijshdqwABCEHIJKMOPSTXYoivABEZHIKMNOPTYXil",
        strict=True,
    )
)

# Symbols that stand for something that the language spells otherwise.
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": "*", "·": "*", "∙": "*", "⋅": "*", "∗": "*", "•": "*",
    "÷": "/", "∕": "/", "⁄": "/", "∣": "|", "ǀ": "|", "≤": "<=", "≥": ">=", "⩽": "<=", "⩾": ">=", "ˆ": "^",
    "²": "^2", "³": "^3", "√": "sqrt", "‚": ",", "∞": "a number", "½": "1/2",
}  # fmt: skip

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "κ": "kappa", "λ": "lambda_", "μ": "mu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigmoid",
    "τ": "tau", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip

_HINTS = {
    "\\": "LaTeX is read with --dialect latex",
    "$": "leave the dollar signs out; LaTeX is read with --dialect latex",
    "#": "comments stand in a file of formulas, on lines of their own",
    "!": "conditions take < <= > >=",
    "%": "there is no remainder; a percentage is a number such as 0.05",
    "&": "for two conditions, put one `if` into another",
    ";": "one formula at a time; parameters stand behind `where`, with commas between",
    ":": "parameters stand behind `where`, as in `where gamma = 2`",
    "{": "use round brackets ( )",
    "}": "use round brackets ( )",
    "[": "a formula is about one prediction: leave the index out; brackets are round",
    "]": "a formula is about one prediction: leave the index out; brackets are round",
    "'": "leave the quotes out",
    '"': "leave the quotes out",
    "`": "leave the quotes out",
    "@": "multiply with `*`",
    "~": "for 1 - x, write it out",
    "?": "write `if(pred > 0.5, a, b)`",
    ".": "a number is written as 0.5",
}


def stray(text: str, position: int) -> LossSyntaxError:
    """The error for a character that does not belong in a formula."""
    char = text[position]
    span = Span(position, position + 1)
    if char in _HINTS:
        return LossSyntaxError("LD009", f"`{char}` does not belong in a formula", text, span, _HINTS[char])
    if char in _LATIN:
        start, end = _word(text, position)
        word = "".join(_LATIN.get(c, c) for c in text[start:end])
        message = f"{_called(char)} only looks like the letter `{_LATIN[char]}`"
        hint = f"write `{word}` in Latin letters" if len(word) <= 40 else "write it in Latin letters"
        return LossSyntaxError("LD010", message, text, span, hint)
    plain = _SYMBOLS.get(char)
    if plain is None and not char.isascii():
        folded = unicodedata.normalize("NFKC", char)
        plain = folded if folded != char and folded.isascii() and folded.isprintable() else None
    if plain is not None:
        wanted = "a plain blank" if plain.isspace() else f"`{plain}`"
        return LossSyntaxError("LD010", f"{_called(char)} is not read", text, span, f"write {wanted} in its place")
    if char in _GREEK:
        return LossSyntaxError("LD009", f"{_called(char)} is not read", text, span, f"write `{_GREEK[char]}`")
    if not char.isprintable():
        return LossSyntaxError("LD009", f"an invisible character, {_called(char)}", text, span, "delete it")
    hint = "names have the letters a-z, A-Z, digits and _" if char.isalpha() else "delete it"
    return LossSyntaxError("LD009", f"{_called(char)} does not belong in a formula", text, span, hint)


def _called(char: str) -> str:
    """`р`, CYRILLIC SMALL LETTER ER, by name where it has one; an unprintable one by number alone."""
    name = unicodedata.name(char, "").capitalize()
    number = f"U+{ord(char):04X}"
    if not char.isprintable():
        return f"{name.upper()} ({number})" if name else number
    return f"`{char}` ({name}, {number})" if name else f"`{char}` ({number})"


def _word(text: str, position: int) -> tuple[int, int]:
    start = end = position
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return start, end
