"""What stands between the matrix products of an MLP, in compiled loops: embeddings, activation, dropout, batch norm."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lossdsl.recsys.kernels import JIT, chance

# PyTorch's defaults.
EPSILON = 1e-5
MOMENTUM = 0.1
# The bounds of one group of all rows.
WHOLE = np.array([0, np.iinfo(np.int64).max])


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
def add(x: Any, row: Any) -> None:
    """Adds a row to each row."""
    for j in range(x.shape[0]):
        for k in range(x.shape[1]):
            x[j, k] += row[k]


@numba.njit(**JIT)
def transpose(x: Any, out: Any) -> None:
    """Writes the transposed matrix."""
    for j in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[j, k] = x[k, j]


@numba.njit(**JIT)
def dot(x: Any, weight: Any, bias: Any, out: Any) -> None:
    """The last layer, which has one output: each row times the weight."""
    for j in range(x.shape[0]):
        total = x.dtype.type(0.0)
        for k in range(x.shape[1]):
            total += x[j, k] * weight[k]
        out[j] = total + bias[0]


@numba.njit(**JIT)
def spread(
    slope: Any, weight: Any, x: Any, factor: Any, back: Any, weight_slope: Any, bias_slope: Any, bounds: Any, sums: Any
) -> None:
    """The way back through `dot` and the `activate` before it; adds to the slopes of weight and bias.

    `sums` becomes what went back in each group of rows.
    """
    for group in range(bounds.shape[0] - 1):
        own = sums[group]
        own[:] = 0
        for j in range(bounds[group], min(bounds[group + 1], x.shape[0])):
            s = slope[j]
            bias_slope[0] += s
            for k in range(x.shape[1]):
                out = s * weight[k] * factor[j, k]
                back[j, k] = out
                own[k] += out
                weight_slope[k] += s * x[j, k]


@numba.njit(**JIT)
def turn(back: Any, factor: Any, bounds: Any, sums: Any) -> None:
    """The way back through `activate`, in place; `sums` becomes what went back in each group of rows."""
    for group in range(bounds.shape[0] - 1):
        own = sums[group]
        own[:] = 0
        for j in range(bounds[group], min(bounds[group + 1], back.shape[0])):
            for k in range(back.shape[1]):
                out = back[j, k] * factor[j, k]
                back[j, k] = out
                own[k] += out


@numba.njit(**JIT)
def activate(x: Any, factor: Any, base: Any, bounds: Any, leak: float, seed: Any, drawn: Any, share: int) -> None:
    """Adds to each group of rows its row of `base`, then LeakyReLU (a ReLU for `leak` 0) and dropout, in place.

    Group k are the rows from `bounds[k]` to `bounds[k + 1]`, as far as there are any. `factor` keeps by what each
    number was multiplied.
    """
    width = x.shape[1]
    up = x.dtype.type(65536 / share)
    down = x.dtype.type(leak) * up
    zero = x.dtype.type(0.0)
    least = np.uint32(share)
    for group in range(bounds.shape[0] - 1):
        for j in range(bounds[group], min(bounds[group + 1], x.shape[0])):
            start = np.uint32(np.uint32(drawn) + np.uint32(j * width))
            if share == 65536:
                for k in range(width):
                    out = x[j, k] + base[group, k]
                    f = up if out > zero else down
                    factor[j, k] = f
                    x[j, k] = out * f
            else:
                for k in range(width):
                    out = x[j, k] + base[group, k]
                    f = up if out > zero else down
                    f = f if chance(np.uint32(start + np.uint32(k)), seed) < least else zero
                    factor[j, k] = f
                    x[j, k] = out * f


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
