"""The built-in data: made from a seed in a fraction of a second, hard enough that the loss matters."""

from __future__ import annotations

import numpy as np

from lossdsl.recsys.dataset import Columns, Dataset, from_columns
from lossdsl.recsys.splits import per_user

USERS, ITEMS, ROWS, FACTORS = 500, 400, 20_000, 4


def demo(seed: int = 0) -> Dataset:
    """Makes 20,000 rows of 500 users and 400 items: four taste factors, popularity, and labels that are often wrong.

    Popular items are seen more often and liked more often, active users are choosier, and one label in twelve is
    flipped, as a slip of the finger is: a loss that punishes the worst error without bound chases those.

    >>> from lossdsl.recsys.demo import demo
    >>> data = demo()
    >>> data.users, data.items, len(data.train) + len(data.validation) + len(data.test)
    (500, 400, 20000)
    """
    random = np.random.default_rng([20220711, seed])
    taste = random.standard_normal((USERS, FACTORS))
    style = random.standard_normal((ITEMS, FACTORS))
    popularity = random.standard_normal(ITEMS)
    activity = random.standard_normal(USERS)
    # Rows without repeats: the ROWS largest of a Gumbel-perturbed log weight are a weighted sample without replacement.
    weight = 0.7 * activity[:, None] + 0.9 * popularity[None, :] + random.gumbel(size=(USERS, ITEMS))
    chosen = np.argpartition(weight.ravel(), -ROWS)[-ROWS:]
    chosen = random.permutation(chosen)
    user, item = np.divmod(chosen, ITEMS)
    score = 1.1 * np.einsum("rf,rf->r", taste[user], style[item])
    score += 0.8 * popularity[item] - 0.5 * activity[user] + 0.6 * random.standard_normal(USERS)[user] - 0.2
    label = random.random(ROWS) < 1 / (1 + np.exp(-score))
    label ^= random.random(ROWS) < 1 / 12
    rows = Columns(user, item, label.astype(np.float32), np.arange(ROWS))
    return from_columns("demo" if seed == 0 else f"demo-{seed}", *per_user(rows, validation=0.12, test=0.12))
