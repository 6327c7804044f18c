"""Did you mean …?"""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like `word`, or None where none is.

    >>> from lossdsl.grammar.suggest import nearest
    >>> nearest("sigmod", ["log", "sigmoid"]), nearest("Log", ["log"]), nearest("xyz", ["log"])
    ('sigmoid', 'log', None)
    """
    if len(word) > 40:  # difflib is quadratic, and a name this long is no slip of the finger
        return None
    words = list(known)
    lower = word.lower()
    for candidate in words:
        if candidate == lower:
            return candidate

    from difflib import get_close_matches

    close = get_close_matches(lower, words, n=1, cutoff=0.66)
    return close[0] if close else None
