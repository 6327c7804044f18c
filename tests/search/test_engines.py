"""A reward does not depend on what trained it: tables or machine code, or the TorchScript module of the formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lossdsl.formula import parse
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.trainer import Trainer
from lossdsl.search.bench import Bench
from lossdsl.search.gate import Gate
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign

# As a search finds them: a weighted and moved one, one with a kink, one that is steep.
FOUND = (
    "-log(label*pred + (1-label)*(1-pred))",
    "softplus(-log(label*(pred/(pred + 3*(1-pred))) + (1-label)*(1 - pred/(pred + 3*(1-pred)))))*(1+2*label)",
    "max((label-pred)^2, abs(label-pred)/2)",
    "exp(2*(label-pred)^2)",
)


@pytest.fixture(scope="module")
def bench() -> Bench:
    settings = Settings()
    for change in ("training.epochs=3", "training.dim=4", "ladder.folds=1"):
        settings = assign(settings, change)
    data: Dataset = load("demo")
    return Bench(data, settings)


def history(bench: Bench, text: str, engine: str, dtype: str) -> np.ndarray:
    recommender = replace(bench.recommender, dtype=dtype, l2=1e-4)
    trainer = Trainer(Objective(parse(text)), bench.data, recommender, seed=3, engine=engine)
    out = []
    for _ in range(recommender.epochs):
        trainer.epoch(bench.train)
        out.append(bench.measured(trainer))
    return np.array(out)


@pytest.mark.parametrize("text", FOUND)
def test_tables_and_the_torchscript_module_give_one_reward(text: str, bench: Bench) -> None:
    trained = Gate().judge(parse(text).tree.root)
    assert not trained.why
    ours = history(bench, trained.text, "fused", "float32")
    theirs = history(bench, trained.text, "torch", "float32")
    assert np.ptp(ours) > 1e-3  # it learns something
    assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("text", FOUND[:3])
def test_machine_code_gives_it_exactly_in_float64(text: str, bench: Bench) -> None:
    trained = Gate().judge(parse(text).tree.root).text
    ours, theirs = (history(bench, trained, engine, "float64") for engine in ("fused", "torch"))
    assert (ours == theirs).all()


def test_a_difference_of_rounding_is_seen(bench: Bench) -> None:
    for text in FOUND[:3]:
        trained = Gate().judge(parse(text).tree.root).text
        if not (history(bench, trained, "fused", "float32") == history(bench, trained, "fused", "float64")).all():
            return
    pytest.fail("float32 and float64 gave the same rewards for all formulas")
