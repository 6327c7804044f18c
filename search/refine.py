"""Small steps around a loss that is good already: its constants moved a little, its parts left out."""

from __future__ import annotations

import numpy as np

from lossdsl.grammar.tree import Apply, Node, Number, size
from lossdsl.search.moves import short, substitute
from lossdsl.search.mutation import at, constants, paths, with_constant
from lossdsl.search.strategy import Proposal


def tuned(root: Node, tries: int, rng: np.random.Generator) -> list[Proposal]:
    """The loss with its constants changed by a third or so, at most `tries` of it.

    >>> import numpy as np
    >>> from lossdsl.formula import parse
    >>> from lossdsl.search.refine import tuned
    >>> len(tuned(parse("3*pred + label").tree.root, 4, np.random.default_rng(0)))
    4
    """
    places = constants(root)
    out = []
    for _ in range(tries if places else 0):
        changed = root
        for place in places:
            if len(places) == 1 or rng.random() < 0.6:
                value = at(root, place)
                assert isinstance(value, Number)
                new = short(float(value.value) * float(np.exp(rng.normal() * 0.3)))
                changed = with_constant(changed, place, new) if new > 0 else changed
        if changed != root:
            out.append(Proposal(changed, "tuned"))
    return out


def shorter(root: Node, tries: int, rng: np.random.Generator) -> list[Proposal]:
    """The loss with one kind of part replaced by one of its own operands, at most `tries` of the ways, drawn at random.

    A part that occurs several times is replaced everywhere: `pred/(pred + 3*(1-pred))` becomes pred in one step.

    >>> import numpy as np
    >>> from lossdsl.formula import parse
    >>> from lossdsl.grammar.printer import show_node
    >>> from lossdsl.search.refine import shorter
    >>> sorted(show_node(p.root) for p in shorter(parse("log(pred) + 2*label").tree.root, 9, np.random.default_rng(0)))
    ['2*label', 'log(pred)', 'log(pred) + 2', 'log(pred) + label', 'pred + 2*label']
    """
    ways: dict[Node, None] = {}
    for path in paths(root):
        part = at(root, path)
        if isinstance(part, Apply):
            for operand in part.args:
                changed = substitute(root, lambda node, part=part, operand=operand: operand if node == part else None)  # type: ignore[misc]
                ways.setdefault(changed)
    found = [way for way in ways if size(way) < size(root)]
    picked = rng.permutation(len(found))[:tries]
    return [Proposal(found[k], "shorter") for k in sorted(picked.tolist())]
