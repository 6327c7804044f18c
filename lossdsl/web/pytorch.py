"""A loss as a few lines of PyTorch that can be pasted anywhere."""

from __future__ import annotations

import re
from dataclasses import replace
from keyword import kwlist

from lossdsl.formula import Formula
from lossdsl.grammar.dialects import write
from lossdsl.grammar.tree import Name, Tree, names, renamed


def source(formula: Formula) -> str:
    """A function of the formula's variables and parameters; LossError where Python cannot say it.

    It is the formula as it is written. What `lossdsl.compile` makes of it is steadier at the ends of (0, 1).

    >>> import lossdsl
    >>> print(source(lossdsl.parse("focal where gamma = 1")))
    import torch
    <BLANKLINE>
    <BLANKLINE>
    def loss(pred, label, gamma=1):
        return -label*(1 - pred)**gamma*torch.log(pred) - (1 - label)*pred**gamma*torch.log(1 - pred)
    """
    # Python's own words, and the modules below, are no names of parameters.
    known = {b.name for b in formula.tree.where}
    taken = {name: _free(name, known) for name in sorted(known & {*kwlist, "F", "torch", "math"})}
    root = renamed(formula.tree.root, {old: Name(new) for old, new in taken.items()})
    where = tuple(replace(b, name=taken.get(b.name, b.name)) for b in formula.tree.where)
    # the writer puts its own `where` behind the code; a function has defaults for that
    expression = write(Tree(root, where), "python").split(" where ")[0]
    used = names(root)
    both = "score" in used and "pred" in used
    arguments: list[str] = [
        name for name in ("score", "pred", "label") if name in used and not (both and name == "pred")
    ]
    for binding in where:
        middle = (binding.low + binding.high) / 2
        number = str(middle) if middle.denominator == 1 else repr(float(middle))
        arguments.append(f"{binding.name}={number}")
    imports = [
        line
        for line, used_as in (
            ("import math", r"\bmath\."),
            ("import torch", r"\btorch\.|\bF\."),
            ("import torch.nn.functional as F", r"\bF\."),
        )
        if re.search(used_as, expression) or (both and line == "import torch")
    ]
    body = ["    pred = torch.sigmoid(score)"] if both else []
    head = [*imports, "", ""] if imports else []
    return "\n".join([*head, f"def loss({', '.join(arguments)}):", *body, f"    return {expression}"])


def _free(name: str, known: set[str]) -> str:
    while name in known:
        name += "_"
    return name
