"""A Dask cluster of two worker processes beside two processes of this machine's own pool: the same candidates."""

from __future__ import annotations

import statistics
import time

from run import Figure, data_folder

LOSSES = (
    "-log(label*pred + (1-label)*(1-pred))",
    "(label-pred)^2",
    "abs(label-pred)^1.5",
    "(1 - (label*pred + (1-label)*(1-pred)))*sqrt(1 + abs(score))",
    "exp(-0.5*(2*label-1)*score)",
    "log(1 + exp(-(2*label-1)*score))*(1 + label)",
)
ROUNDS, JOBS = 8, 32


def run() -> list[Figure]:
    import torch
    from distributed import LocalCluster

    from lossdsl.recsys.data import load
    from lossdsl.search.bench import Bench, Job
    from lossdsl.search.cluster import Dask
    from lossdsl.search.evaluator import Evaluator
    from lossdsl.search.remote import Remote
    from lossdsl.search.settings import Settings
    from lossdsl.search.toml import assign

    torch.set_num_threads(1)
    folder = data_folder()
    public = folder / "ml100k01-1-5" if folder else None
    name = str(public) if public and public.is_dir() else "demo"
    data = load(name)
    bench = Bench(data, assign(Settings(), "training.epochs=5"))
    jobs = [Job(LOSSES[k % len(LOSSES)], (1e-4,), (k,)) for k in range(JOBS)]
    times: dict[str, list[float]] = {"two local processes": [], "two Dask workers": []}
    results = []
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Evaluator(bench, data, 2, processes=True) as local,
    ):
        link = Dask(cluster.scheduler_address)
        with Remote(bench, link) as remote:
            for evaluator in (local, remote):  # processes start, code is compiled, data goes out
                results.append([result.reward for result in evaluator.map(jobs)])
            assert results[0] == results[1], "the cluster gives other rewards"
            for k in range(ROUNDS):
                pair = list(zip(times, (local, remote)))
                for who, evaluator in pair if k % 2 else pair[::-1]:
                    started = time.perf_counter()
                    for _result in evaluator.map(jobs):
                        pass
                    times[who].append(time.perf_counter() - started)
        link.close()
    print(f"{JOBS} candidates on {data.name}, five epochs each, {ROUNDS} rounds in turn\n")
    for who, seconds in times.items():
        rates = ", ".join(f"{JOBS / s:.1f}" for s in seconds)
        print(f"{who:>20}  {JOBS / statistics.median(seconds):7.2f} a second  ({rates})")
    ratio = statistics.median(a / b for a, b in zip(*times.values()))
    return [
        Figure("cluster_candidates", JOBS / statistics.median(times["two Dask workers"]), "a second"),
        Figure("cluster_throughput", ratio, "x", "two local processes"),
    ]
