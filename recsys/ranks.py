"""What metrics count: compiled loops over rows in the order of their scores."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lossdsl.recsys.kernels import JIT


@numba.njit(inline="always")
def _met(wins: Any, liked: Any, below: Any, good: Any, bad: Any) -> Any:
    """Pairs won, positives and negatives so far, after `good` and `bad` more rows of one higher score."""
    return wins + good * (below + 0.5 * bad), liked + good, below + bad


@numba.njit(inline="always")
def _share(wins: Any, liked: Any, below: Any) -> Any:
    return wins / (liked * below) if liked > 0.0 and below > 0.0 else np.nan


@numba.njit(**JIT)
def rank_auc(order: Any, score: Any, label: Any, start: int, end: int) -> float:
    """AUC of the rows `order[start:end]`, which are sorted by score; ties count half; NaN if a class is missing."""
    wins = liked = below = 0.0
    i = start
    while i < end:
        j = i
        here = 0.0
        while j < end and score[order[j]] == score[order[i]]:
            if label[order[j]] > 0.5:
                here += 1.0
            j += 1
        wins, liked, below = _met(wins, liked, below, here, (j - i) - here)
        i = j
    return _share(wins, liked, below)


@numba.njit(**JIT)
def sort_keys(score: Any, label: Any, out: Any) -> bool:
    """Whole numbers in the order of float32 scores (given as their bits), the last bit a row's class; False with a NaN.

    Sorting those takes a third of the time of sorting places by scores.
    """
    for j in range(score.shape[0]):
        b = score[j]
        size = b & np.int32(0x7FFFFFFF)
        if size > np.int32(0x7F800000):
            return False
        b = np.int32(-size) if b < 0 else b  # both zeros are 0
        out[j] = (np.int64(b) << 1) | np.int64(label[j] > 0.5)
    return True


@numba.njit(**JIT)
def sorted_auc(key: Any) -> float:
    """What `rank_auc` gives, of sorted keys."""
    wins = liked = below = 0.0
    i = 0
    n = key.shape[0]
    while i < n:
        j = i
        here = 0.0
        while j < n and key[j] >> 1 == key[i] >> 1:
            here += np.float64(key[j] & 1)
            j += 1
        wins, liked, below = _met(wins, liked, below, here, (j - i) - here)
        i = j
    return _share(wins, liked, below)


@numba.njit(**JIT)
def grouped_auc(order: Any, score: Any, label: Any, group: Any) -> float:
    """Mean AUC over groups that have both classes; `order` sorts by group, then by score."""
    total = 0.0
    count = 0
    start = 0
    n = order.shape[0]
    while start < n:
        end = start
        while end < n and group[order[end]] == group[order[start]]:
            end += 1
        value = rank_auc(order, score, label, start, end)
        if value == value:
            total += value
            count += 1
        start = end
    return total / count if count > 0 else np.nan


@numba.njit(inline="always")
def _credit(out: Any, ndcg: Any, hits: Any, liked: Any, first: Any, precision: Any, top: Any, depth: Any) -> None:
    """Adds one group's NDCG, recall, hit, reciprocal rank, average precision and precision to the sums."""
    out[0] += ndcg
    out[1] += hits / liked
    out[2] += 1.0 if hits > 0 else 0.0
    out[3] += 1.0 / first if first > 0 else 0.0
    out[4] += precision / min(liked, top)
    out[5] += hits / depth


@numba.njit(inline="always")
def _mean(out: Any, count: Any) -> Any:
    """The sums over `count` groups as means, in place; nan where there is no group."""
    if count == 0:
        out[:] = np.nan
    else:
        out /= count
    return out


@numba.njit(**JIT)
def ranking(order: Any, label: Any, group: Any, depth: int) -> Any:
    """Means over groups with a positive row: NDCG, recall, hit rate, reciprocal rank, average precision, precision.

    `order` sorts by group, then from the best score to the worst. `depth` 0 looks at all rows of a group. The gain of a
    row is `2**label - 1`, its discount `1 / log2(rank + 1)`; positives are the rows with a label above 0.
    """
    out = np.zeros(6)
    count = 0
    n = order.shape[0]
    start = 0
    while start < n:
        end = start
        liked = 0
        while end < n and group[order[end]] == group[order[start]]:
            if label[order[end]] > 0:
                liked += 1
            end += 1
        if liked == 0:
            start = end
            continue
        count += 1
        size = end - start
        top = size if depth == 0 else min(depth, size)
        gains = np.empty(size)
        for j in range(size):
            gains[j] = 2.0 ** label[order[start + j]] - 1.0
        best = np.sort(gains)
        gained = 0.0
        ideal = 0.0
        hits = 0
        first = 0
        precision = 0.0
        for j in range(top):
            discount = 1.0 / np.log2(j + 2.0)
            gained += gains[j] * discount
            ideal += best[size - 1 - j] * discount
            if gains[j] > 0:
                hits += 1
                precision += hits / (j + 1.0)
                if first == 0:
                    first = j + 1
        _credit(out, gained / ideal, hits, liked, first, precision, top, size if depth == 0 else depth)
        start = end
    return _mean(out, count)


@numba.njit(**JIT)
def ranking_unsorted(score: Any, label: Any, group: Any, depth: int) -> Any:
    """What `ranking` gives, for rows whose groups lie together: no sort, a pass over the group for each positive row.

    Made for full rankings, where a user has a thousand rows and a few positives. Scores must not be NaN.
    """
    out = np.zeros(6)
    count = 0
    n = score.shape[0]
    start = 0
    while start < n:
        end = start
        liked = 0
        while end < n and group[end] == group[start]:
            if label[end] > 0:
                liked += 1
            end += 1
        if liked == 0:
            start = end
            continue
        count += 1
        size = end - start
        top = size if depth == 0 else min(depth, size)
        places = np.empty(liked, np.int64)
        gains = np.empty(liked)
        seen = 0
        for r in range(start, end):
            if label[r] > 0:
                mine = score[r]
                before = 0
                for j in range(start, end):
                    before += score[j] >= mine
                # Of equal scores the row with the smaller label stands first, and of equal rows the earlier one.
                for j in range(start, end):
                    if score[j] == mine and (label[j] > label[r] or (label[j] == label[r] and j >= r)):
                        before -= 1
                places[seen] = before
                gains[seen] = 2.0 ** label[r] - 1.0
                seen += 1
        order = np.argsort(places)
        best = np.sort(gains)
        gained = 0.0
        ideal = 0.0
        hits = 0
        first = 0
        precision = 0.0
        for k in range(liked):
            if k < top:
                ideal += best[liked - 1 - k] / np.log2(k + 2.0)
            place = places[order[k]]
            if place < top:
                gained += gains[order[k]] / np.log2(place + 2.0)
                hits += 1
                precision += hits / (place + 1.0)
                if first == 0:
                    first = place + 1
        _credit(out, gained / ideal, hits, liked, first, precision, top, size if depth == 0 else depth)
        start = end
    return _mean(out, count)
