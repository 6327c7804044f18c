"""Compiled kernels on disk: one file each, written atomically, checked when read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from lossdsl import __version__


@lru_cache(maxsize=1)
def _sources() -> str:
    """A digest of the code that writes kernels, so that a changed polynomial never meets an old file."""
    digest = hashlib.sha256(__version__.encode())
    for name in ("llvm.py", "vector.py"):
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()


def folder() -> Path | None:
    """Where kernels are kept: `LOSSDSL_CACHE`, or `lossdsl` in the user's cache; None where that is not ours alone."""
    base = os.environ.get("LOSSDSL_CACHE")
    if base is None:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lossdsl")
    path = Path(base) / "kernels"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError:
        return None
    # Machine code is loaded from here, so nobody else may be able to put any there.
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None
    return path


def cached(key: str, machine: str, make: Callable[[str], bytes]) -> tuple[str, bytes]:
    """Symbol name and object code for `key` on this `machine`; `make` compiles under the name it is given."""
    digest = hashlib.sha256("\0".join((key, machine, _sources())).encode()).hexdigest()
    symbol = f"lossdsl_{digest[:32]}"
    place = folder()
    file = None if place is None else place / f"{digest}.o"
    code = None if file is None else _read(file)
    if code is None:
        code = make(symbol)
        if file is not None:
            _write(file, code)
    return symbol, code


def _read(file: Path) -> bytes | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    check, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == check else None


def _write(file: Path, code: bytes) -> None:
    try:
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".kernel-")
    except OSError:
        return  # a full or read-only disk costs time, not correctness
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(hashlib.sha256(code).digest() + code)
        os.replace(temporary, file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
