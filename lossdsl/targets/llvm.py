"""A Program as machine code for this CPU: one pass over float32 arrays gives the sum of the losses and every slope.

`llvm_ir` writes the loop as explicit vector IR; llvmlite (which numba brings) makes code of it, and a cache on disk
keeps it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lossdsl.errors import LossError
from lossdsl.program import Program
from lossdsl.targets.llvm_ir import Output, ir


def applies(program: Program) -> bool:
    """Whether the kernel can hold this Program: no open parameter, and powers with constant exponents only.

    >>> from lossdsl.lowering import lower
    >>> applies(lower("focal")), applies(lower("focal", free=("gamma",)))
    (True, False)
    """
    steps = program.steps
    return not program.parameters and all(s.op != "pow" or steps[s.args[1]].constant is not None for s in steps)


@dataclass(frozen=True)
class Kernel:
    """Machine code; call it with addresses, or hand `address` to other machine code.

    The C signature is `double k(const float *x, const float *label, float *slope, int64_t n, float scale)` and, where
    each loss is asked for, a last `float *loss`. It returns the sum of the losses, or NaN where an x or a label lies
    outside of what the kernel was made for; slopes come multiplied by `scale`.
    """

    address: int
    output: Output
    function: Callable[..., float]


@lru_cache(maxsize=1)
def _machine() -> Any:
    import llvmlite.binding as llvm

    try:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    except RuntimeError:
        pass  # newer versions initialise by themselves and say so
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=1,
        codemodel="jitdefault",
        jit=True,
    )


@lru_cache(maxsize=1)
def machine_key() -> str:
    """What compiled code depends on besides the Program: CPU, its features, versions."""
    import llvmlite
    import llvmlite.binding as llvm

    _machine()
    cpu = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvm.get_process_triple())
    return repr((*cpu, llvmlite.__version__, llvm.llvm_version_info))


def available() -> bool:
    """Whether llvmlite reads the IR that is written here, with pointers that have no type; ImportError without it.

    >>> available()
    True
    """
    import llvmlite.binding as llvm

    return bool(llvm.llvm_version_info[0] >= 15)


def compile_ir(source: str) -> bytes:
    """Object code for this machine."""
    import llvmlite.binding as llvm

    machine = _machine()
    with llvm.parse_assembly(source) as module:
        return bytes(machine.emit_object(module))


_engines: list[Any] = []


def link(code: bytes, symbol: str) -> int:
    """Load object code into this process; gives the address of `symbol`."""
    import llvmlite.binding as llvm

    if not _engines:
        _engines.append(llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine()))
    engine = _engines[0]
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(symbol)
    if not address:
        raise LossError("the compiled kernel could not be loaded")
    return int(address)


def kernel(program: Program, output: Output = "sum", labels: str | None = None) -> Kernel:
    """The kernel of a Program, compiled or taken from the cache on disk.

    >>> import numpy as np
    >>> from lossdsl.lowering import lower
    >>> k = kernel(lower("mse", axis="pred"))
    >>> x, y = np.array([0.5, 0.25], np.float32), np.ones(2, np.float32)
    >>> slope = np.empty_like(x)
    >>> k.function(x.ctypes.data, y.ctypes.data, slope.ctypes.data, 2, 1.0), slope.tolist()
    (0.8125, [-1.0, -1.5])
    """
    from lossdsl.targets.kernel_cache import cached

    if not applies(program):
        raise LossError("this loss has open parameters or exponents that vary, which the llvm target does not take")
    key = repr((program.axis, program.steps, program.value, program.slope, output, labels))
    symbol, code = cached(key, machine_key(), lambda name: compile_ir(ir(program, output, labels, name)))
    address = link(code, symbol)
    return Kernel(address, output, (_WITH_EACH if output == "each" else _PLAIN)(address))


# PYFUNCTYPE keeps the interpreter lock, which costs less than giving it up for a few microseconds' work.
_POINTERS = [ctypes.c_void_p] * 3
_PLAIN = ctypes.PYFUNCTYPE(ctypes.c_double, *_POINTERS, ctypes.c_int64, ctypes.c_float)
_WITH_EACH = ctypes.PYFUNCTYPE(ctypes.c_double, *_POINTERS, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p)
