"""Interactions per second beside what people train recommenders with on a CPU: the same data, model size and thread."""

from __future__ import annotations

import importlib
import os
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from run import Figure, data_folder

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.demo import demo
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer

DIM, RATE, L2 = 64, 0.01, 1e-6
ROUNDS, GOAL = 5, 3.0

# A way to train for so many epochs, and how many fit into a round.
Peer = tuple[Callable[[], Any], int]


def run() -> list[Figure]:
    """Prints the table, returns the figures."""
    torch.set_num_threads(1)
    for name in ("LK_NUM_THREADS", "LK_NUM_BACKEND_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"  # read when the peers are loaded, later
    warnings.filterwarnings("ignore", module="lenskit|torch")
    folder = data_folder()
    data = load(folder / "ml100k01-1-5") if folder is not None else demo()
    print(f"{data.name}, {len(data.train):,} rows; {DIM} dimensions; one thread each, its processor time; medians of"
          f" {ROUNDS} interleaved rounds\n")  # fmt: skip
    peers: dict[str, Peer] = {"lossdsl, GD": ours(data), **plain(data)}
    versions: dict[str, str] = {}
    for package, make in (("implicit", implicit), ("scikit-surprise", surprise), ("lenskit", lenskit)):
        try:
            made = make(data)
        except ImportError as error:
            print(f"{package} is left out, it cannot be loaded ({error}): pip install {package}")
            continue
        versions[package] = f"{package} {version(package)}"
        peers |= {f"{package}, {name}": peer for name, peer in made.items()}
    for train, _ in peers.values():
        train()  # what is compiled or looked up only once
    seconds = {name: [] for name in peers}
    for _ in range(ROUNDS):
        for name, (train, epochs) in peers.items():
            begin = time.process_time()
            train()
            seconds[name].append((time.process_time() - begin) / epochs)
    print(", ".join([f"torch {torch.__version__}", *versions.values()]) + "\n")
    rates = {name: len(data.train) / float(np.median(taken)) for name, taken in seconds.items()}
    own = rates["lossdsl, GD"]
    figures = []
    for name, rate in rates.items():
        beside = "" if rate == own else f"   lossdsl {own / rate:.1f} times that (to reach {GOAL:g})"
        print(f"{name:<42} {rate / 1e6:7.2f} million interactions a second{beside}")
        figures.append(Figure(f"peers_{_slug(name)}_rate", rate / 1e6, "M rows/s"))
        if rate != own:
            figures.append(Figure(f"peers_{_slug(name)}", own / rate, "times", name))
    return figures


def _slug(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def ours(data: Dataset) -> Peer:
    """The fused engine: matrix factorization with biases, cross-entropy, plain gradient descent."""
    settings = Settings(dim=DIM, optimizer="gd", lr=RATE, l2=L2, batch_size=128)
    epochs = 40

    def train() -> None:
        trainer = Trainer("bce", data, settings, engine="fused")
        for _ in range(epochs):
            trainer.epoch()

    return train, epochs


def plain(data: Dataset) -> dict[str, Peer]:
    """The loop in plain PyTorch; an epoch of small batches is cut short and counted as what it is of one."""
    from suite_fused import Plain

    user, item = (torch.from_numpy(column.astype(np.int64)) for column in (data.train.user, data.train.item))
    label = torch.from_numpy(np.array(data.train.label))

    def loop(batch: int, share: float) -> Peer:
        model = Plain(data.users, data.items, DIM)
        stepper = torch.optim.SGD(model.parameters(), lr=RATE, weight_decay=L2)

        def train() -> None:
            order = torch.randperm(len(user))[: round(len(user) * share)]
            for pick in order.split(batch):
                stepper.zero_grad()
                score = model(user[pick], item[pick])
                torch.nn.functional.binary_cross_entropy_with_logits(score, label[pick]).backward()
                stepper.step()

        return train, share

    return {"plain PyTorch, batch 128": loop(128, 0.2), "plain PyTorch, batch 8192": loop(8192, 1)}


def implicit(data: Dataset) -> dict[str, Peer]:
    """BPR: a pair of a seen and an unseen item for each interaction."""
    sparse = importlib.import_module("scipy.sparse")
    bpr = importlib.import_module("implicit.bpr").BayesianPersonalizedRanking
    seen = sparse.csr_matrix((np.ones(len(data.train), np.float32), (data.train.user, data.train.item)))
    epochs = 20

    def train() -> None:
        model = bpr(factors=DIM, learning_rate=RATE, regularization=L2, iterations=epochs, num_threads=1)
        model.fit(seen, show_progress=False)

    return {"BPR": (train, epochs)}


def surprise(data: Dataset) -> dict[str, Peer]:
    """SVD: matrix factorization with biases, squared error, a step for each interaction."""
    library, pandas = importlib.import_module("surprise"), importlib.import_module("pandas")
    frame = pandas.DataFrame({"u": data.train.user, "i": data.train.item, "r": data.train.label.astype(float)})
    rows = library.Dataset.load_from_df(frame, library.Reader(rating_scale=(0, 1))).build_full_trainset()
    epochs = 20
    return {"SVD": (lambda: library.SVD(n_factors=DIM, n_epochs=epochs, lr_all=RATE, reg_all=L2).fit(rows), epochs)}


def lenskit(data: Dataset) -> dict[str, Peer]:
    """Matrix factorization with biases: FlexMF by Adam in PyTorch, BiasedMF by alternating least squares."""
    read = importlib.import_module("lenskit.data").from_interactions_df
    options = importlib.import_module("lenskit.training").TrainingOptions
    flex = importlib.import_module("lenskit.flexmf").FlexMFExplicitScorer
    als = importlib.import_module("lenskit.als").BiasedMFScorer
    pandas = importlib.import_module("pandas")
    columns = {"user_id": data.train.user, "item_id": data.train.item, "rating": data.train.label.astype(float)}
    rows = read(pandas.DataFrame(columns))
    epochs = 3
    flexible: dict[str, Any] = {"embedding_size": DIM, "learning_rate": RATE, "epochs": epochs}
    return {
        "FlexMF": (lambda: flex(**flexible).train(rows, options(rng=0, device="cpu")), epochs),
        "BiasedMF (ALS)": (lambda: als(embedding_size=DIM, epochs=epochs).train(rows, options(rng=0)), epochs),
    }
