"""Beyond one machine: a real scheduler and worker processes give the trials of this machine, whatever dies."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lossdsl.errors import LossError, MissingExtra
from lossdsl.recsys.data import load
from lossdsl.search import cluster as cluster_module
from lossdsl.search.bench import Bench, Job
from lossdsl.search.budget import Budget, Clock
from lossdsl.search.cluster import Dask
from lossdsl.search.ledger import read_trials
from lossdsl.search.presets import preset
from lossdsl.search.remote import Remote
from lossdsl.search.run import Progress
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign
from tests.search.conftest import timeless

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dask_cluster import Cluster

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="the extra lossdsl[cluster] is not installed"
)
QUICK = (
    "data=demo", "seed=4", "ladder.batch=16", "ladder.tune_every=3", "ladder.final=2", "ladder.final_seeds=1",
    "ladder.tune=1", "ladder.tune_tries=3", "training.epochs=3", "training.final_l2=[1e-4]", "training.test_seeds=1",
    "training.l2=[1e-4]", "ladder.first_epochs=2",
)  # fmt: skip
PUBLISHED = ("data=demo", "training.dim=4", "original.train_steps=2", "original.save_every=1", "seed=5")
TRIALS = 96


def settings(changes: tuple[str, ...] = QUICK, name: str = "") -> Settings:
    out = preset(name)
    for change in changes:
        out = assign(out, change)
    return out


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that all others must equal: on this machine, never interrupted."""
    path = tmp_path_factory.mktemp("whole") / "run"
    search(settings(), run_dir=path, budget=f"{TRIALS}trials")
    return path


def best(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "best.json").read_text())
    del content["report"]["ms"]
    return content


def same(run: Path, whole: Path, count: int = TRIALS) -> None:
    ours, theirs = list(read_trials(run)), list(read_trials(whole))
    assert len(ours) == len(theirs) == count
    assert sum(trial.fate == "trained" for trial in ours) >= 5, "too little is trained; take another seed"
    for one, two in zip(ours, theirs):
        assert timeless(one) == timeless(two), (one, two)


@needs_dask
def test_the_trials_are_those_of_one_machine(dask: Cluster, whole: Path, tmp_path: Path) -> None:
    result = search(settings(), run_dir=tmp_path / "run", budget=f"{TRIALS}trials", cluster=dask.address)
    same(tmp_path / "run", whole)
    assert result.trials == TRIALS
    assert best(tmp_path / "run") == best(whole)


@needs_dask
def test_a_run_moves_to_the_cluster_and_back(dask: Cluster, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(settings(), run_dir=run, budget="32trials")
    search(run_dir=run, budget="64trials", resume=True, cluster=dask.address)
    search(run_dir=run, budget=f"{TRIALS}trials", resume=True, workers=2)
    same(run, whole)


@needs_dask
def test_workers_that_die_lose_nothing(dask: Cluster, whole: Path, tmp_path: Path) -> None:
    """First one of two is killed, then the other: the data goes down with it, and the last come late."""
    living = [k for k, worker in enumerate(dask.workers) if worker.poll() is None]
    told: list[str] = []

    def progress(now: Progress) -> None:
        if now.trials in (8, 40):
            dask.kill(living.pop())
        if now.trials == 40:
            dask.add()
            dask.add()

    search(settings(), run_dir=tmp_path / "run", budget=f"{TRIALS}trials", cluster=dask.address, progress=progress,
           say=told.append)  # fmt: skip
    same(tmp_path / "run", whole)
    assert living == []
    assert told[0] == f"run directory: {tmp_path / 'run'}"
    assert all(f"dask worker {dask.address}" in text for text in told if "waiting" in text)


@pytest.mark.slow  # more processes are started and more runs made than the quick suite has time for
@needs_dask
def test_the_published_method_goes_to_the_cluster_too(dask: Cluster, tmp_path: Path) -> None:
    chosen = settings(PUBLISHED, "autolossgen")
    search(chosen, run_dir=tmp_path / "here", budget="60trials")
    search(chosen, run_dir=tmp_path / "there", budget="60trials", cluster=dask.address)
    same(tmp_path / "there", tmp_path / "here", 60)


@pytest.mark.slow  # more processes are started and more runs made than the quick suite has time for
@needs_dask
def test_control_c_and_a_kill_leave_a_resumable_run(dask: Cluster, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = [f"--set={change}" for change in QUICK[2:]]
    command = [sys.executable, "-m", "lossdsl", "search", "--data", "demo", "--seed", "4", *options]
    for stop, more in ((signal.SIGINT, ()), (signal.SIGKILL, ("--resume",))):
        begin = command if not more else [*command[:4], *more]
        process = subprocess.Popen(
            [*begin, "--budget", "1h", "--run-dir", str(run), "--cluster", dask.address], stderr=subprocess.PIPE
        )
        before = saved(run)
        deadline = time.monotonic() + 180
        while saved(run) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, stop)
        code = process.wait(60)
        assert process.stderr is not None
        words = process.stderr.read().decode()
        assert code == (130 if stop == signal.SIGINT else -signal.SIGKILL), words
        assert "Traceback" not in words and "distributed" not in words
    count = max(TRIALS, sum(1 for _ in read_trials(run)))
    search(run_dir=run, budget=f"{count}trials", resume=True, cluster=dask.address)
    ours, theirs = list(read_trials(run)), list(read_trials(whole))
    assert all(timeless(one) == timeless(two) for one, two in zip(ours, theirs)) and len(ours) >= TRIALS


def saved(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "state").glob("*.npz"))


@pytest.mark.slow  # more processes are started and more runs made than the quick suite has time for
@needs_dask
def test_a_scheduler_that_goes_ends_the_run_in_one_sentence(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 2.0)
    run = tmp_path / "run"
    with Cluster(tmp_path, workers=1) as cluster:

        def progress(now: Progress) -> None:
            if now.trials == 20:
                cluster.scheduler.kill()

        with pytest.raises(LossError, match="^the Dask scheduler at .* has gone; go on with --resume$"):
            search(settings(), run_dir=run, budget=f"{TRIALS}trials", cluster=cluster.address, progress=progress)
    search(run_dir=run, budget=f"{TRIALS}trials", resume=True)
    same(run, whole)


@needs_dask
def test_a_budget_of_time_ends_a_search_without_workers(tmp_path: Path) -> None:
    """Nobody came: not one candidate was trained, which else no clock ends; two seconds of waiting are the budget."""
    chosen = settings((*QUICK, "ladder.folds=1"))
    bench = Bench(load("demo"), chosen)
    with Cluster(tmp_path, workers=0) as cluster:
        link = Dask(cluster.address)
        clock = Clock(Budget(seconds=2.0))
        remote = Remote(bench, link, clock.late)
        with pytest.raises(LossError) as error:
            list(remote.map([Job("(label-pred)^2", (1e-4,), (0,))], lambda: clock.ends(0.8, {"trained": 0})))
        link.close()
        assert str(error.value) == (
            f"the budget ended while no worker was connected to {cluster.address}; "
            f"start one (dask worker {cluster.address}) and go on with --resume"
        )
        assert 2.0 <= clock.here < 30.0
        with pytest.raises(LossError, match="^the budget ended while no worker was connected to "):
            search(chosen, run_dir=tmp_path / "run", budget="2s", cluster=cluster.address)


@needs_dask
def test_a_worker_is_no_scheduler(dask: Cluster) -> None:
    link = Dask(dask.address)
    link.client.wait_for_workers(1, timeout=120)
    address = next(iter(link.client.nthreads()))
    link.close()
    with pytest.raises(LossError, match=r"\(a worker answers\)$"):
        Dask(address)


@needs_dask
def test_nobody_at_the_address_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.5)
    with socket.socket() as silent:  # takes connections and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        for address in (f"tcp://127.0.0.1:{port}", f"127.0.0.1:{port}"):
            with pytest.raises(LossError, match=f"^no Dask scheduler answers at `{address}`"):
                search(settings(), run_dir=tmp_path / "run", cluster=address)
    for address in (f"tcp://127.0.0.1:{port}", "nonsense://x", "tcp://", "tcp://127.0.0.1:99999", "a b"):
        with pytest.raises(LossError, match="^no Dask scheduler answers at [^\n]*$"):
            search(settings(), run_dir=tmp_path / "run", cluster=address)
    assert not (tmp_path / "run").exists()


def test_without_dask_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lossdsl\[cluster\]'"):
        Dask("tcp://127.0.0.1:1")


@pytest.mark.parametrize("options", [("--cluster", "tcp://x:1", "--workers", "2"), ("--cluster", " ")])
def test_wrong_usage(options: tuple[str, ...], tmp_path: Path) -> None:
    from click.testing import CliRunner

    from lossdsl.cli.search import command

    done = CliRunner().invoke(command, [*options, "--run-dir", str(tmp_path / "run")])
    assert done.exit_code == 2 and not (tmp_path / "run").exists()
