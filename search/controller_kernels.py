"""The published controller's arithmetic as compiled loops: a pass that draws, and the gradient of what it drew.

PyTorch's own kernels spend a hundred times longer on these matrices of 64 by 256 than the multiplications take. The
same formulas stand in `tests/search/twin.py` in PyTorch, and a test holds the two against each other.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lossdsl.search.vector_math import sigmoid, tanh

# No `nnan` and `ninf`: a controller that explodes has to show it.
JIT: dict[str, Any] = dict(
    cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"}
)


@numba.njit(inline="always")
def _uniform(seed: Any, place: Any) -> float:
    """A number in [0, 1) that depends on the seed and the place alone (SplitMix64): no state to keep."""
    z = np.uint64(seed) + np.uint64(place) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@numba.njit(**JIT)
def _multiply(x: Any, w: Any, out: Any) -> None:
    """out += x @ w: eight rows of `w` at a time, which stay in the nearest cache for all rows of `x`."""
    inner = w.shape[0]
    width = w.shape[1]
    for k in range(0, inner - 7, 8):
        w0, w1, w2, w3, w4, w5, w6, w7 = w[k], w[k + 1], w[k + 2], w[k + 3], w[k + 4], w[k + 5], w[k + 6], w[k + 7]
        for b in range(x.shape[0]):
            x0, x1, x2, x3 = x[b, k], x[b, k + 1], x[b, k + 2], x[b, k + 3]
            x4, x5, x6, x7 = x[b, k + 4], x[b, k + 5], x[b, k + 6], x[b, k + 7]
            o = out[b]
            for j in range(width):
                o[j] += (
                    x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]
                    + x4 * w4[j] + x5 * w5[j] + x6 * w6[j] + x7 * w7[j]
                )  # fmt: skip
    for k in range(inner - inner % 8, inner):
        w0 = w[k]
        for b in range(x.shape[0]):
            x0 = x[b, k]
            o = out[b]
            for j in range(width):
                o[j] += x0 * w0[j]


@numba.njit(**JIT)
def _outer(g: Any, x: Any, out: Any) -> None:
    """out += g.T @ x: the gradient of a weight from those of the results and the inputs, row by row of `out`."""
    rows = g.shape[0]
    for a in range(g.shape[1]):
        o = out[a]
        for r in range(0, rows - 4, 5):
            c0, c1, c2, c3, c4 = g[r, a], g[r + 1, a], g[r + 2, a], g[r + 3, a], g[r + 4, a]
            x0, x1, x2, x3, x4 = x[r], x[r + 1], x[r + 2], x[r + 3], x[r + 4]
            for k in range(x.shape[1]):
                o[k] += c0 * x0[k] + c1 * x1[k] + c2 * x2[k] + c3 * x3[k] + c4 * x4[k]
        for r in range(rows - rows % 5, rows):
            c = g[r, a]
            xr = x[r]
            for k in range(x.shape[1]):
                o[k] += c * xr[k]


@numba.njit(**JIT)
def _cell(gates: Any, c_before: Any, c: Any, h: Any, tanh_c: Any) -> None:
    """One LSTM cell: `gates` come as sums and leave as i, f, g, o."""
    size = c.shape[1]
    for b in range(c.shape[0]):
        for k in range(2 * size):
            gates[b, k] = sigmoid(gates[b, k])
        for k in range(2 * size, 3 * size):
            gates[b, k] = tanh(gates[b, k])
        for k in range(3 * size, 4 * size):
            gates[b, k] = sigmoid(gates[b, k])
        for k in range(size):
            c[b, k] = gates[b, size + k] * c_before[b, k] + gates[b, k] * gates[b, 2 * size + k]
            tanh_c[b, k] = tanh(c[b, k])
            h[b, k] = gates[b, 3 * size + k] * tanh_c[b, k]


@numba.njit(**JIT)
def _cell_back(gates: Any, c_before: Any, tanh_c: Any, dh: Any, dc: Any, dgates: Any) -> None:
    """Back through a cell: `dh`, `dc` of its results become `dgates`, and `dc` that of the state before."""
    size = tanh_c.shape[1]
    one = gates.dtype.type(1.0)
    for b in range(tanh_c.shape[0]):
        for k in range(size):
            i, f = gates[b, k], gates[b, size + k]
            g, o = gates[b, 2 * size + k], gates[b, 3 * size + k]
            t = tanh_c[b, k]
            d = dc[b, k] + dh[b, k] * o * (one - t * t)
            dgates[b, k] = d * g * i * (one - i)
            dgates[b, size + k] = d * c_before[b, k] * f * (one - f)
            dgates[b, 2 * size + k] = d * i * (one - g * g)
            dgates[b, 3 * size + k] = dh[b, k] * t * o * (one - o)
            dc[b, k] = d * f


@numba.njit(**JIT)
def _log_softmax(x: Any, out: Any, count: int) -> float:
    """Writes the log-probabilities of the first `count` logits; returns their entropy."""
    top = x[0]
    for j in range(1, count):
        top = max(top, x[j])
    total = 0.0
    for j in range(count):
        total += np.exp(np.float64(x[j] - top))
    shift = np.log(total)
    entropy = 0.0
    for j in range(count):
        s = np.float64(x[j] - top) - shift
        out[j] = s
        entropy -= np.exp(s) * s
    return entropy


@numba.njit(**JIT)
def _pick(scores: Any, count: int, barred: int, u: float) -> int:
    """The choice that a uniform number falls on, one of them left out (-1: none)."""
    total = 0.0
    for j in range(count):
        if j != barred:
            total += np.exp(np.float64(scores[j]))
    left = u * total
    last = 0
    for j in range(count):
        if j != barred:
            last = j
            left -= np.exp(np.float64(scores[j]))
            if left < 0.0:
                return j
    return last


@numba.njit(**JIT)
def _best(x: Any, count: int, barred: int) -> int:
    """The place of the largest, one of them left out (-1: none)."""
    found = -1
    for j in range(count):
        if j != barred and (found < 0 or x[j] > x[found]):
            found = j
    return found


@numba.njit(**JIT)
def forward(
    inputs: int, binary: Any, tanh_constant: float, draw_operator: bool, draw_operand: bool, seed: Any, place: Any,
    embed_in: Any, start_in: Any, w_in: Any, bias: Any, w_state: Any, to_operator: Any, attend_node: Any,
    attend_query: Any, attend_value: Any, op: Any, first: Any, second: Any, log_prob: Any, entropy: Any, gates: Any,
    c: Any, h: Any, tanh_c: Any, op_tanh: Any, op_score: Any, anchors: Any, keys: Any, mixed: Any, wanted: Any,
    arg_score: Any, given: Any,
) -> None:  # fmt: skip
    """Draw graphs into `op`, `first`, `second` and keep all that the way back needs.

    Cells are numbered 2t and 2t + 1; `c[k]`, `h[k]` are the states before cell k. Weights come transposed, with the
    inputs along their rows. Graph b uses the uniform numbers from `place + b * 3 * nodes` on.
    """
    nodes, count, size = anchors.shape
    operators = op_score.shape[2]
    tc = gates.dtype.type(tanh_constant)
    query = np.empty((count, size), gates.dtype)
    for t in range(nodes):
        for b in range(count):
            if t <= inputs:
                for j in range(4 * size):
                    gates[2 * t, b, j] = start_in[j]
            else:
                for j in range(4 * size):
                    gates[2 * t, b, j] = bias[j]
        if t > inputs:
            _multiply(given[t], w_in, gates[2 * t])
        if t > 0:
            _multiply(h[2 * t], w_state, gates[2 * t])
        _cell(gates[2 * t], c[2 * t], c[2 * t + 1], h[2 * t + 1], tanh_c[2 * t])
        op_tanh[t] = 0
        _multiply(h[2 * t + 1], to_operator, op_tanh[t])
        for b in range(count):
            for j in range(operators):
                op_tanh[t, b, j] = tanh(op_tanh[t, b, j])
                op_score[t, b, j] = tc * op_tanh[t, b, j]
            where = place + np.uint64(3) * (np.uint64(b * nodes) + np.uint64(t))
            entropy[b] += _log_softmax(op_score[t, b], op_score[t, b], operators)
            if draw_operator:
                op[t, b] = _pick(op_score[t, b], operators, -1, _uniform(seed, where))
            else:
                op[t, b] = _best(op_score[t, b], operators, -1)
            log_prob[b] += op_score[t, b, op[t, b]]
            for j in range(4 * size):
                gates[2 * t + 1, b, j] = embed_in[op[t, b], j]
        _multiply(h[2 * t + 1], w_state, gates[2 * t + 1])
        _cell(gates[2 * t + 1], c[2 * t + 1], c[2 * t + 2], h[2 * t + 2], tanh_c[2 * t + 1])
        if t >= inputs:
            query[:] = 0
            _multiply(h[2 * t + 2], attend_query, query)
            for b in range(count):
                for n in range(t):
                    raw = gates.dtype.type(0.0)
                    for k in range(size):
                        mixed[t, b, n, k] = tanh(keys[n, b, k] + query[b, k])
                        raw += attend_value[k] * mixed[t, b, n, k]
                    wanted[t, b, n] = tanh(-raw)
                    arg_score[t, b, n] = tc * wanted[t, b, n]
                where = place + np.uint64(3) * (np.uint64(b * nodes) + np.uint64(t))
                entropy[b] += _log_softmax(arg_score[t, b], arg_score[t, b], t)
                two = binary[op[t, b]]
                if draw_operand:
                    first[t, b] = _pick(arg_score[t, b], t, -1, _uniform(seed, where + np.uint64(1)))
                    second[t, b] = first[t, b]
                    if two:
                        u = _uniform(seed, where + np.uint64(2))
                        second[t, b] = _pick(arg_score[t, b], t, first[t, b], u)
                else:
                    first[t, b] = _best(wanted[t, b], t, -1)
                    second[t, b] = _best(wanted[t, b], t, first[t, b]) if two else first[t, b]
                if draw_operand or not two:
                    log_prob[b] += arg_score[t, b, first[t, b]]
                    if two:
                        log_prob[b] += arg_score[t, b, second[t, b]]
                else:
                    # Greedy operands are judged one by one in the original: each earlier node is skipped or not.
                    for n in range(t):
                        x = np.float64(2.0 if n == first[t, b] or n == second[t, b] else -2.0) * tc * wanted[t, b, n]
                        log_prob[b] += min(x, 0.0) - np.log1p(np.exp(-abs(x)))
                if t + 1 < nodes:
                    share = gates.dtype.type(1.0 / (1 + t - (2 if two else 1)))
                    for k in range(size):
                        given[t + 1, b, k] = 0
                    for n in range(t):
                        if n != first[t, b] and n != second[t, b]:
                            for k in range(size):
                                given[t + 1, b, k] += share * anchors[n, b, k]
        anchors[t] = h[2 * t + 2]
        keys[t] = 0
        _multiply(anchors[t], attend_node, keys[t])


@numba.njit(**JIT)
def backward(
    weight: Any, inputs: int, binary: Any, tanh_constant: float, draw_operand: bool, w_in: Any, w_state: Any,
    to_operator: Any, attend_node: Any, attend_query: Any, attend_value: Any, op: Any, first: Any, second: Any,
    gates: Any, c: Any, h: Any, tanh_c: Any, op_tanh: Any, op_score: Any, anchors: Any, mixed: Any, wanted: Any,
    arg_score: Any, given: Any, d_embed_in: Any, d_start_in: Any, d_w_in: Any, d_bias: Any, d_w_state: Any,
    d_to_operator: Any, d_attend_node: Any, d_attend_query: Any, d_attend_value: Any,
) -> None:  # fmt: skip
    """Adds the gradient of `sum(weight * log_prob)` to the `d_` arrays; weights as the module has them, not transposed.

    `d_embed_in` and `d_start_in` are those of the products with the input weights.
    """
    nodes, count, size = anchors.shape
    operators = op_score.shape[2]
    kind = gates.dtype
    tc = kind.type(tanh_constant)
    one = kind.type(1.0)
    zero = kind.type(0.0)
    dh = np.zeros((count, size), kind)
    dc = np.zeros((count, size), kind)
    d_anchor = np.zeros((nodes, count, size), kind)
    d_key = np.zeros((nodes, count, size), kind)
    d_gates = np.empty((count, 4 * size), kind)
    d_query = np.empty((count, size), kind)
    d_op = np.empty((count, operators), kind)
    d_given = np.empty((count, size), kind)
    for t in range(nodes - 1, -1, -1):
        # What comes back to this node's own state: from its key and as an anchor.
        _multiply(d_key[t], attend_node, dh)
        _outer(d_key[t], anchors[t], d_attend_node)
        for b in range(count):
            for k in range(size):
                dh[b, k] += d_anchor[t, b, k]
        if t >= inputs:
            d_query[:] = 0
            for b in range(count):
                two = binary[op[t, b]]
                for n in range(t):
                    chosen = n == first[t, b] or (two and n == second[t, b])
                    if draw_operand or not two:
                        d = (2.0 if two else 1.0) * -np.exp(np.float64(arg_score[t, b, n])) + (1.0 if chosen else 0.0)
                    else:
                        sign = 2.0 if chosen else -2.0
                        d = sign / (1.0 + np.exp(sign * np.float64(tc * wanted[t, b, n])))
                    d *= weight[b]
                    raw = kind.type(-d * tc * (1.0 - wanted[t, b, n] * wanted[t, b, n]))
                    for k in range(size):
                        m = mixed[t, b, n, k]
                        d_attend_value[k] += raw * m
                        p = raw * attend_value[k] * (one - m * m)
                        d_key[n, b, k] += p
                        d_query[b, k] += p
            _multiply(d_query, attend_query, dh)
            _outer(d_query, h[2 * t + 2], d_attend_query)
        _cell_back(gates[2 * t + 1], c[2 * t + 1], tanh_c[2 * t + 1], dh, dc, d_gates)
        _outer(d_gates, h[2 * t + 1], d_w_state)
        for b in range(count):
            for j in range(4 * size):
                d_embed_in[op[t, b], j] += d_gates[b, j]
        dh[:] = 0
        _multiply(d_gates, w_state, dh)
        for b in range(count):
            for j in range(operators):
                d = -np.exp(np.float64(op_score[t, b, j])) + (1.0 if j == op[t, b] else 0.0)
                d_op[b, j] = kind.type(weight[b] * d * tc * (1.0 - op_tanh[t, b, j] * op_tanh[t, b, j]))
        _multiply(d_op, to_operator, dh)
        _outer(d_op, h[2 * t + 1], d_to_operator)
        _cell_back(gates[2 * t], c[2 * t], tanh_c[2 * t], dh, dc, d_gates)
        _outer(d_gates, h[2 * t], d_w_state)
        dh[:] = 0
        _multiply(d_gates, w_state, dh)
        if t <= inputs:
            for b in range(count):
                for j in range(4 * size):
                    d_start_in[j] += d_gates[b, j]
        else:
            for b in range(count):
                for j in range(4 * size):
                    d_bias[j] += d_gates[b, j]
            _outer(d_gates, given[t], d_w_in)
            d_given[:] = zero
            _multiply(d_gates, w_in, d_given)
            for b in range(count):
                before = t - 1
                share = kind.type(1.0 / (1 + before - (2 if binary[op[before, b]] else 1)))
                for n in range(before):
                    if n != first[before, b] and n != second[before, b]:
                        for k in range(size):
                            d_anchor[n, b, k] += share * d_given[b, k]


@numba.njit(**JIT)
def adam(w: Any, g: Any, first: Any, second: Any, step: int, lr: float, beta1: float, beta2: float, eps: float) -> None:
    """One step of Adam (Kingma and Ba 2015, with PyTorch's epsilon); `step` counts from 1."""
    rate = w.dtype.type(lr / (1.0 - beta1**step))
    root = w.dtype.type(1.0 / np.sqrt(1.0 - beta2**step))
    c1, c2 = w.dtype.type(1.0 - beta1), w.dtype.type(1.0 - beta2)
    b1, b2 = w.dtype.type(beta1), w.dtype.type(beta2)
    tiny = w.dtype.type(eps)
    for k in range(w.shape[0]):
        first[k] = b1 * first[k] + c1 * g[k]
        second[k] = b2 * second[k] + c2 * g[k] * g[k]
        w[k] -= rate * first[k] / (np.sqrt(second[k]) * root + tiny)
