"""Reading: text to tree, in lossdsl's own dialect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.builder import build, lone_name
from lossdsl.grammar.limits import check_text, check_tree
from lossdsl.grammar.losses import loss_file, loss_names
from lossdsl.grammar.naming import unspanned, unused
from lossdsl.grammar.tree import Tree, names
from lossdsl.grammar.where import Where, read_where

if TYPE_CHECKING:
    from lark import Lark


@dataclass(frozen=True)
class Parsed:
    """What was read: the tree, the named loss it came from, whether that is declared pairwise, what to tell."""

    tree: Tree
    name: str | None = None
    pairwise: bool = False
    notes: tuple[str, ...] = ()
    dialect: str = "lossdsl"


@lru_cache(maxsize=1)
def grammar() -> Lark:
    """The LALR parser, built once, when first needed."""
    from lark import Lark

    return Lark(
        (Path(__file__).resolve().parent / "loss.lark").read_text(encoding="utf-8"),
        parser="lalr",
        start=["start", "where"],
        lexer="basic",
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


def read(text: str) -> Parsed:
    """Read a formula of lossdsl's own dialect.

    Raises `LossSyntaxError`, with code, place and hint, for everything that is not one.

    >>> from lossdsl.grammar.parser import read
    >>> read("-log(p)").tree.root
    Apply(op='neg', args=(Apply(op='log', args=(Name(name='pred'),)),))
    >>> read("focal where gamma = 1").name
    'focal'
    """
    check_text(text)
    if not text.strip():
        raise LossSyntaxError("LD001", "the formula is empty", text, Span(0, 0), "write one, such as `-log(pred)`")

    from lark.exceptions import UnexpectedInput

    try:
        start = grammar().parse(text, start="start")
    except UnexpectedInput as error:
        from lossdsl.grammar.messages import explain

        raise explain(text, error) from None
    where = read_where(text, start.children[1]) if len(start.children) > 1 else {}
    name = lone_name(start.children[0])
    if name in loss_names() and name not in where:
        return _changed(name, text, where)
    tree = Tree(build(text, start.children[0], where), tuple(b for b, _ in where.values()))
    check_tree(tree, text)
    used = names(tree.root)
    for binding, span in where.values():
        if binding.name not in used:
            raise unused(binding.name, sorted(used), text, span)
    return Parsed(tree)


@cache
def named(name: str) -> Parsed:
    """A named loss as its file gives it; KeyError where there is none.

    >>> from lossdsl.grammar.parser import named
    >>> named("bpr").pairwise
    True
    """
    file = loss_file(name)
    tree = read(file.formula).tree
    # The spans point into the file, not into what the user wrote.
    return Parsed(Tree(unspanned(tree.root), tree.where), name, file.pairwise)


def _changed(name: str, text: str, where: Where) -> Parsed:
    loss = named(name)
    known = [b.name for b in loss.tree.where]
    for binding, span in where.values():
        if binding.name not in known:
            raise unused(binding.name, known, text, span, name)
    tree = Tree(loss.tree.root, tuple(where[b.name][0] if b.name in where else b for b in loss.tree.where))
    check_tree(tree, text)
    return Parsed(tree, name, loss.pairwise)
