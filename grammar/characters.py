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

_HAT = "\N{COMBINING CIRCUMFLEX ACCENT}"

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
    plain = _plain(char)
    whole = _in_plain_signs(text)
    if plain is not None:
        wanted = "a plain blank" if plain.isspace() else f"`{plain}`"
        hint = whole or f"write {wanted} in its place"
        return LossSyntaxError("LD010", f"{_called(char)} is not read", text, span, hint)
    if char in _GREEK or _hatted(char):
        hint = whole or f"write `{_GREEK.get(char) or _hatted(char)}`"
        return LossSyntaxError("LD009", f"{_called(char)} is not read", text, span, hint)
    if not char.isprintable():
        return LossSyntaxError("LD009", f"an invisible character, {_called(char)}", text, span, "delete it")
    hint = "names have the letters a-z, A-Z, digits and _" if char.isalpha() else "delete it"
    return LossSyntaxError("LD009", f"{_called(char)} does not belong in a formula", text, span, hint)


def _plain(char: str) -> str | None:
    """What a sign is in ASCII, None where that is not known."""
    if char in _SYMBOLS or char.isascii():
        return _SYMBOLS.get(char)
    folded = unicodedata.normalize("NFKC", char)
    return folded if folded != char and folded.isascii() and folded.isprintable() else None


def _hatted(char: str) -> str | None:
    """`y_hat` for ŷ."""
    letter = unicodedata.normalize("NFD", char)
    return f"{letter[0]}_hat" if len(letter) == 2 and letter[1] == _HAT and letter[0].isascii() else None


def _in_plain_signs(text: str) -> str | None:
    """A hint with the whole formula in ASCII, where several of its characters are not: one error tells them all."""
    composed = unicodedata.normalize("NFC", text).strip()
    strange = [c for c in composed if not c.isascii()]
    if len(strange) < 2 or len(composed) > 120 or "\n" in composed:
        return None
    parts: list[str] = []
    for position, char in enumerate(composed):
        new = char if char.isascii() else _plain(char) or _GREEK.get(char) or _hatted(char)
        if new is None or char in _LATIN or new == _SYMBOLS["∞"]:
            return None
        # A letter spelled out must not grow together with its neighbours: αp is alpha*p.
        if new[0].isalnum() and len(new) > 1 and parts and parts[-1][-1].isalnum() and not new[0].isdigit():
            parts.append("*")
        parts.append(new)
        behind = composed[position + 1 : position + 2]
        if new[0].isalpha() and len(new) > 1 and not char.isascii() and (behind.isalnum() or behind in _GREEK):
            parts.append("*")
    return f"in plain signs: `{''.join(parts)}`"


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
