"""What TensorBoard is told: read back from the event file by TensorBoard's own reader."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lossdsl.cli.search import command
from lossdsl.errors import MissingExtra
from lossdsl.search.ledger import read_trials
from lossdsl.search.run import Progress
from lossdsl.search.scalars import Scalars, tensorboard

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="the extra lossdsl[tensorboard] is not installed"
)


def now(trials: int, elapsed: float, top: float | None = None, **fates: int) -> Progress:
    counts = {"trained": 0, "duplicate": 0, "filtered": 0, "failed": 0, **fates}
    return Progress(trials, counts["trained"], counts, top, elapsed)


def test_shares_and_rates_are_of_what_is_new() -> None:
    drawn: dict[tuple[str, int], float] = {}
    scalars = Scalars(lambda name, value, step: drawn.__setitem__((name, step), value))
    scalars(now(1, 0.1, filtered=1))
    for k in range(2, 5):  # within the same second
        scalars(now(k, 0.1 + 0.01 * k, filtered=k))
    scalars(now(11, 2.1, 0.7, filtered=6, trained=4, duplicate=1))
    scalars(now(12, 2.2, 0.8, filtered=6, trained=5, duplicate=1))
    scalars.close()
    scalars.close()
    assert {step for _, step in drawn} == {1, 11, 12}
    assert drawn["fates/filtered", 1] == 1 and ("best so far", 1) not in drawn and ("valid share", 1) not in drawn
    assert drawn["valid share", 11] == 0.5  # of ten new ones five were filtered
    assert drawn["rate/trained a second", 11] == pytest.approx(2.0)
    assert drawn["rate/proposed a second", 11] == pytest.approx(5.0)
    assert (drawn["best so far", 11], drawn["best so far", 12], drawn["valid share", 12]) == (0.7, 0.8, 1.0)


def test_counts_that_grow_in_place_are_kept_apart() -> None:
    """A search has one dictionary of fates and changes it."""
    drawn: dict[tuple[str, int], float] = {}
    scalars = Scalars(lambda name, value, step: drawn.__setitem__((name, step), value))
    fates = {"trained": 0, "duplicate": 0, "filtered": 1, "failed": 0}
    scalars(Progress(1, 0, fates, None, 0.0))
    fates["filtered"] = 4
    scalars(Progress(7, 0, fates, None, 1.5))
    assert drawn["valid share", 7] == 0.5


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return read


@needs_tensorboard
def test_a_run_and_its_resumption_are_one_curve(tmp_path: Path) -> None:
    run, board = tmp_path / "run", tmp_path / "board"
    quick = ["training.epochs=2", "training.test_seeds=1", "training.final_l2=[1e-4]", "training.l2=[1e-4]",
             "ladder.batch=16", "ladder.final=1", "ladder.final_seeds=1", "seeded=true"]  # fmt: skip
    always = ["--run-dir", str(run), "--workers", "1", "--tensorboard", str(board)]
    first = ["--data", "demo", "--seed", "3", "--budget", "40trials", *(f"--set={change}" for change in quick)]
    for options in (first, ["--resume", "--budget", "64trials"]):
        done = CliRunner().invoke(command, [*options, *always])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    trials = list(read_trials(run))
    read = events(board)
    counts = Counter(trial.fate for trial in trials)
    for fate in ("trained", "duplicate", "filtered", "failed"):
        points = read.Scalars(f"fates/{fate}")
        steps = [point.step for point in points]
        assert steps == sorted(set(steps)) and steps[-1] == len(trials) == 64
        assert points[-1].value == counts[fate]
    best = read.Scalars("best so far")[-1].value
    assert best == pytest.approx(max(t.reward for t in trials if t.fate == "trained"))
    tags = set(read.Tags()["scalars"])
    assert {"valid share", "rate/trained a second", "rate/proposed a second"} <= tags
    assert all(0 <= point.value <= 1 for point in read.Scalars("valid share"))


def test_without_tensorboard_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lossdsl\[tensorboard\]'"), tensorboard(tmp_path / "board"):
        pass
    assert not (tmp_path / "board").exists()
