"""What stands between the matrix products of an MLP, in compiled loops: embeddings, activation, dropout, batch norm."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lossdsl.recsys.kernels import JIT, chance

# PyTorch's defaults.
EPSILON = 1e-5
MOMENTUM = 0.1


@numba.njit(**JIT)
def gather(table: Any, index: Any, out: Any, start: int) -> None:
    """Writes rows of a table into `out`, from column `start` on."""
    for j in range(index.shape[0]):
        for k in range(table.shape[1]):
            out[j, start + k] = table[index[j], k]


@numba.njit(**JIT)
def scatter(slope: Any, index: Any, out: Any, start: int, width: int) -> None:
    """The way back from `gather`: adds to the rows of `out`."""
    for j in range(index.shape[0]):
        for k in range(width):
            out[index[j], k] += slope[j, start + k]


@numba.njit(**JIT)
def columns(x: Any, out: Any) -> None:
    """Adds the sum of each column to `out`."""
    for j in range(x.shape[0]):
        for k in range(x.shape[1]):
            out[k] += x[j, k]


@numba.njit(**JIT)
def times(x: Any, factor: Any) -> None:
    """Multiplies in place."""
    for k in range(x.shape[0]):
        x[k] *= factor[k]


@numba.njit(**JIT)
def activate(x: Any, factor: Any, leak: float, seed: Any, drawn: Any, share: int) -> None:
    """LeakyReLU (a ReLU for `leak` 0) and dropout in place; `factor` keeps by what each number was multiplied."""
    n = x.shape[0]
    up = x.dtype.type(65536 / share)
    down = x.dtype.type(leak) * up
    zero = x.dtype.type(0.0)
    if share == 65536:
        for k in range(n):
            factor[k] = up if x[k] > zero else down
            x[k] *= factor[k]
        return
    least = np.uint32(share)
    start = np.uint32(drawn)
    for k in range(n):
        f = up if x[k] > zero else down
        f = f if chance(np.uint32(start + np.uint32(k)), seed) < least else zero
        factor[k] = f
        x[k] *= f


@numba.njit(**JIT)
def normalize(x: Any, hat: Any, inverse: Any, scale: Any, shift: Any, mean: Any, variance: Any) -> None:
    """Batch norm of a training, in place: `hat` and `inverse` keep the normalized numbers and by what they were scaled.

    The running mean and variance follow, as PyTorch's do.
    """
    rows, width = x.shape
    kind = x.dtype.type
    middle = np.zeros(width, x.dtype)
    spread = np.zeros(width, x.dtype)
    for j in range(rows):
        for k in range(width):
            middle[k] += x[j, k]
    for k in range(width):
        middle[k] /= kind(rows)
    for j in range(rows):
        for k in range(width):
            off = x[j, k] - middle[k]
            spread[k] += off * off
    keep = kind(1.0 - MOMENTUM)
    fresh = kind(MOMENTUM)
    for k in range(width):
        inverse[k] = kind(1.0) / np.sqrt(spread[k] / kind(rows) + kind(EPSILON))
        mean[k] = keep * mean[k] + fresh * middle[k]
        variance[k] = keep * variance[k] + fresh * (spread[k] / kind(rows - 1))
    for j in range(rows):
        for k in range(width):
            h = (x[j, k] - middle[k]) * inverse[k]
            hat[j, k] = h
            x[j, k] = h * scale[k] + shift[k]


@numba.njit(**JIT)
def rescale(x: Any, scale: Any, shift: Any, mean: Any, variance: Any) -> None:
    """Batch norm of an evaluation, by the running mean and variance, in place."""
    kind = x.dtype.type
    rise = scale / np.sqrt(variance + kind(EPSILON))
    start = shift - mean * rise
    for j in range(x.shape[0]):
        for k in range(x.shape[1]):
            x[j, k] = x[j, k] * rise[k] + start[k]


@numba.njit(**JIT)
def unnormalize(back: Any, hat: Any, inverse: Any, scale: Any, scale_slope: Any, shift_slope: Any) -> None:
    """The way back through `normalize`: slopes of what came out become slopes of what went in."""
    rows, width = back.shape
    kind = back.dtype.type
    total = np.zeros(width, back.dtype)
    turned = np.zeros(width, back.dtype)
    for j in range(rows):
        for k in range(width):
            total[k] += back[j, k]
            turned[k] += back[j, k] * hat[j, k]
    rise = np.empty(width, back.dtype)
    for k in range(width):
        shift_slope[k] += total[k]
        scale_slope[k] += turned[k]
        total[k] /= kind(rows)
        turned[k] /= kind(rows)
        rise[k] = scale[k] * inverse[k]
    for j in range(rows):
        for k in range(width):
            back[j, k] = rise[k] * (back[j, k] - total[k] - hat[j, k] * turned[k])
