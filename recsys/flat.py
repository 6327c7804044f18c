"""All parameters of a model in one array, and each by its name in it: a step of an optimizer is then one loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lossdsl.recsys.dataset import Array

_LINE = 64  # bytes: of a cache line, and of the widest vector of today's processors


def aligned(size: int, dtype: np.dtype) -> Array:
    """Zeros that begin at a cache line; NumPy's own arrays seldom do, and then every vector straddles two lines.

    >>> import numpy as np
    >>> from lossdsl.recsys.flat import aligned
    >>> aligned(3, np.dtype("float32")).ctypes.data % 64
    0
    """
    room = np.zeros(size * dtype.itemsize + _LINE, np.uint8)
    start = -room.ctypes.data % _LINE
    return room[start : start + size * dtype.itemsize].view(dtype)


def joined(parts: Sequence[Array], dtype: np.dtype) -> Array:
    """The numbers of all arrays, one after the other.

    >>> import numpy as np
    >>> from lossdsl.recsys.flat import joined
    >>> joined([np.eye(2), np.array([5.0])], np.dtype("float32")).tolist()
    [1.0, 0.0, 0.0, 1.0, 5.0]
    """
    out = aligned(sum(part.size for part in parts), dtype)
    np.concatenate([part.ravel() for part in parts], out=out, casting="same_kind")
    return out


def like(flat: Array) -> Array:
    """As many zeros, aligned too."""
    return aligned(flat.size, flat.dtype)


def named(flat: Array, shapes: Mapping[str, tuple[int, ...]], prefix: str = "") -> dict[str, Array]:
    """Views of the parts, in the order of `shapes`.

    >>> import numpy as np
    >>> from lossdsl.recsys.flat import named
    >>> {name: view.shape for name, view in named(np.zeros(7), {"a": (2, 3), "b": (1,)}).items()}
    {'a': (2, 3), 'b': (1,)}
    """
    out: dict[str, Array] = {}
    start = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        out[prefix + name] = flat[start : start + size].reshape(shape)
        start += size
    return out
