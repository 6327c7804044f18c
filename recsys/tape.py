"""The slope of a Program as flat integer steps, and the loop that interprets them over a block of rows.

A new formula is new data for the same machine code: nothing is compiled for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lossdsl.errors import LossError
from lossdsl.program import Program
from lossdsl.recsys.dataset import Array

BLOCK = 256

# Numbers that the loop below knows; part of the cached machine code, so only ever add to the end.
CODES = {
    name: number
    for number, name in enumerate(
        "constant neg abs sign relu sqrt exp expm1 log log1p sigmoid logsigmoid tanh add sub mul div pow min max "
        "lt le gt ge eq clamp select mix".split()
    )
}


@dataclass(frozen=True, eq=False)
class Tape:
    """Steps as rows (operation, register of the result, of a, of b, of c), their constants, and where the slope is.

    Register 0 holds the score, 1 the label; a register is used again once nothing reads it any more.
    """

    code: Array
    constant: Array
    registers: int


def tape(program: Program, parameters: Mapping[str, float] | None = None) -> Tape:
    """Lays out the slope of a Program in score; a parameter becomes the constant given for it.

    >>> from lossdsl.formula import parse
    >>> from lossdsl.lowering import lower
    >>> from lossdsl.recsys.tape import tape
    >>> tape(lower(parse("score^2"), axis="score")).registers
    4
    """
    if program.axis != "score":
        raise LossError("a recommender trains on the score; lower the formula with axis='score'")
    given = dict(parameters or {})
    steps = program.slope_steps
    last_use = {argument: at for at, number in enumerate(steps) for argument in program.steps[number].args}
    last_use[program.slope] = len(steps)
    place: dict[int, int] = {}
    free: list[int] = []
    count = 2
    code: list[tuple[int, int, int, int, int]] = []
    constants: list[float] = []

    def emit(op: str, args: tuple[int, ...], constant: float, released: list[int]) -> int:
        nonlocal count
        # A result never shares the register of an argument of its own step.
        if free:
            target = free.pop()
        else:
            target, count = count, count + 1
        a, b, c = (*args, 0, 0, 0)[:3]
        code.append((CODES[op], target, a, b, c))
        constants.append(constant)
        free.extend(released)
        return target

    for at, number in enumerate(steps):
        step = program.steps[number]
        if step.op == "input":
            place[number] = 1 if step.name == "label" else 0
            continue
        constant = program.floats[number]
        op = step.op
        if op == "parameter":
            if step.name is None or step.name not in given:
                raise LossError(f"the parameter `{step.name}` has no value; give it one with `where {step.name} = …`")
            op, constant = "constant", float(given[step.name])
        done = sorted({place[a] for a in step.args if last_use[a] == at and place[a] > 1})
        place[number] = emit(op, tuple(place[a] for a in step.args), constant, done)
    # The answer stands in the last row's register; a slope that is an input itself is copied by adding zero.
    if not code or code[-1][1] != place[program.slope]:
        zero = emit("constant", (), 0.0, [])
        emit("add", (place[program.slope], zero), 0.0, [])
    return Tape(np.array(code, np.int32).reshape(-1, 5), np.array(constants, np.float64), count)


def _interpret(code_at: Any, constant_at: Any, regs_at: Any, steps: int, registers: int, n: int) -> int:
    """Runs the steps over `regs[:, :n]`; returns the register that holds the slope. Kinks follow PyTorch's rule.

    A C function, called by its address: inlined into every kernel it would be compiled again with each.
    """
    code = numba.carray(code_at, (steps, 5))
    constant = numba.carray(constant_at, (steps,))
    regs = numba.carray(regs_at, (registers, BLOCK))
    where = 0
    for s in range(steps):
        op = code[s, 0]
        where = code[s, 1]
        o = regs[where]
        a = regs[code[s, 2]]
        b = regs[code[s, 3]]
        c = regs[code[s, 4]]
        if op == 0:
            k = constant[s]
            for j in range(n):
                o[j] = k
        elif op == 1:
            for j in range(n):
                o[j] = -a[j]
        elif op == 2:
            for j in range(n):
                o[j] = abs(a[j])
        elif op == 3:
            for j in range(n):
                o[j] = np.sign(a[j])
        elif op == 4:
            for j in range(n):
                # A NaN has to stay one.
                o[j] = 0.0 if a[j] < 0.0 else a[j]
        elif op == 5:
            for j in range(n):
                o[j] = np.sqrt(a[j])
        elif op == 6:
            for j in range(n):
                o[j] = np.exp(a[j])
        elif op == 7:
            for j in range(n):
                o[j] = np.expm1(a[j])
        elif op == 8:
            for j in range(n):
                o[j] = np.log(a[j])
        elif op == 9:
            for j in range(n):
                o[j] = np.log1p(a[j])
        elif op == 10:
            for j in range(n):
                e = np.exp(-abs(a[j]))
                o[j] = (e if a[j] < 0.0 else 1.0) / (1.0 + e)
        elif op == 11:
            for j in range(n):
                x = a[j]
                o[j] = (x if x < 0.0 else 0.0) - np.log1p(np.exp(-abs(x)))
        elif op == 12:
            for j in range(n):
                o[j] = np.tanh(a[j])
        elif op == 13:
            for j in range(n):
                o[j] = a[j] + b[j]
        elif op == 14:
            for j in range(n):
                o[j] = a[j] - b[j]
        elif op == 15:
            for j in range(n):
                o[j] = a[j] * b[j]
        elif op == 16:
            for j in range(n):
                o[j] = a[j] / b[j]
        elif op == 17:
            for j in range(n):
                o[j] = a[j] ** b[j]
        elif op == 18:
            for j in range(n):
                o[j] = np.minimum(a[j], b[j])
        elif op == 19:
            for j in range(n):
                o[j] = np.maximum(a[j], b[j])
        elif op == 20:
            for j in range(n):
                o[j] = 1.0 if a[j] < b[j] else 0.0
        elif op == 21:
            for j in range(n):
                o[j] = 1.0 if a[j] <= b[j] else 0.0
        elif op == 22:
            for j in range(n):
                o[j] = 1.0 if a[j] > b[j] else 0.0
        elif op == 23:
            for j in range(n):
                o[j] = 1.0 if a[j] >= b[j] else 0.0
        elif op == 24:
            for j in range(n):
                o[j] = 1.0 if a[j] == b[j] else 0.0
        elif op == 25:
            for j in range(n):
                o[j] = np.minimum(np.maximum(a[j], b[j]), c[j])
        elif op == 26:
            for j in range(n):
                o[j] = b[j] if a[j] != 0.0 else c[j]
        else:
            for j in range(n):
                w = a[j]
                # A weight of nought must not turn the other branch's infinity into NaN.
                if w == 1.0:
                    o[j] = b[j]
                elif w == 0.0:
                    o[j] = c[j]
                else:
                    o[j] = w * b[j] + (1.0 - w) * c[j]
    return where


_SIGNATURE = "int64(CPointer(int32), CPointer(float64), CPointer(float64), int64, int64, int64)"


@cache
def _compiled() -> Any:
    options: dict[str, Any] = dict(cache=True, error_model="numpy", boundscheck=False, fastmath={"contract", "nsz"})
    return numba.cfunc(_SIGNATURE, **options)(_interpret)


def interpreter() -> int:
    """Address of the interpreter's machine code, which is made, or found in the cache, when first asked for."""
    address: int = _compiled().address
    return address


@intrinsic
def run_at(typing: Any, address: Any, code: Any, constant: Any, regs: Any, n: Any) -> Any:
    """Calls the interpreter at `address` on these arrays; returns the register of the slope."""
    signature = types.int64(types.int64, code, constant, regs, types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        arrays = [context.make_array(kind)(context, builder, value) for kind, value in zip(sig.args[1:4], args[1:4])]
        i64, byte = ir.IntType(64), ir.IntType(8).as_pointer()
        function = ir.FunctionType(i64, [byte, byte, byte, i64, i64, i64]).as_pointer()
        sizes = [builder.extract_value(array.shape, 0) for array in (arrays[0], arrays[2])]
        data = [builder.bitcast(array.data, byte) for array in arrays]
        return builder.call(builder.inttoptr(args[0], function), [*data, *sizes, args[4]])

    return signature, generate


@numba.njit(cache=True, nogil=True)
def interpret(address: int, code: Any, constant: Any, regs: Any, n: int) -> int:
    """Runs a tape from Python, with `interpreter()` as address: `regs[0, :n]` are scores, `regs[1, :n]` labels."""
    return run_at(address, code, constant, regs, n)
