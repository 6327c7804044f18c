"""What a compiled loss says when it is called wrongly: one sentence each, naming the formula.

The module and the saved TorchScript file share these sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

LABEL_SETS = ("{0,1}", "{1}", "[0,1]")


@dataclass(frozen=True)
class Border:
    """The sentences of one loss.

    >>> print(Border("mse").outside)
    pred lies outside [0, 1]; raw scores are passed as score=... (loss `mse`)
    """

    formula: str

    def _say(self, sentence: str) -> str:
        return f"{sentence} (loss `{self.formula}`)"

    @property
    def both(self) -> str:
        return self._say("give pred or score, not both")

    @property
    def neither(self) -> str:
        return self._say("give pred=... or score=...")

    @property
    def needs_score(self) -> str:
        return self._say("the formula contains score, so pass score=..., not pred")

    @property
    def pairs_need_score(self) -> str:
        return self._say("a pairwise loss takes score=..., the difference of two scores, not pred")

    @property
    def pairs_have_no_label(self) -> str:
        return self._say("a pairwise loss takes no label; score is that of the better item less that of the other")

    @property
    def label_missing(self) -> str:
        return self._say("label is missing")

    @property
    def outside(self) -> str:
        return self._say("pred lies outside [0, 1]; raw scores are passed as score=...")

    @property
    def not_floating(self) -> str:
        return self._say("pred and score have to be floating-point tensors")

    def shapes(self, first: str, one: object, second: str, other: object) -> str:
        return self._say(f"{first} has shape {one} and {second} has shape {other}; they have to be equal")

    @property
    def shapes_differ(self) -> str:
        return self._say("pred or score, label and weight have to have equal shapes")

    def kind(self, name: str, kind: str) -> str:
        return self._say(f"{name} has to be a tensor of real numbers, not {kind}")

    def label_outside_of(self, declared: str) -> str:
        return self._say(f"a label is not in {declared}")

    def label_outside(self, value: float, declared: str) -> str:
        hint = "" if declared == "[0,1]" else '; for soft labels pass label="[0,1]" when the loss is made'
        return self._say(f"label {value:g} is not in {declared}{hint}")
