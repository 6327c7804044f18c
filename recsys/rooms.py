"""Where a batch is worked out: memory that each batch uses again, and its views by the number of rows, made once.

A batch of RankNet takes two milliseconds, of which its matrix products are all but a few hundred microseconds: new
arrays and their views, a dozen of them for each batch, would cost as much as all the loops between the products.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lossdsl.recsys.dataset import Array
from lossdsl.recsys.flat import aligned

_MANY = 500  # rooms, each of some kilobytes besides what they share


class Sheet:
    """A matrix as NumPy and PyTorch know it, and turned."""

    __slots__ = ("array", "tensor", "turned")

    def __init__(self, array: Array) -> None:
        self.array = array
        self.tensor = torch.from_numpy(array)
        self.turned = self.tensor.t()


class Room:
    """Room for `rows` rows; where `groups` is not 0, their users' vectors are kept apart, one a group.

    By hidden layer: what it gives (`outs`), by what its activation multiplied (`factors`), slopes of what it gives
    before that (`backs`), and what its batch norm made (`hats`, `inverses`).
    """

    def __init__(self, rooms: Rooms, rows: int, groups: int) -> None:
        width, *hidden = rooms.widths
        dim, share = rooms.dim, rooms.dim if groups else 0
        layers = list(enumerate(hidden))
        self.inputs = Sheet(rooms.cut("inputs", rows, width - share))
        self.outs = [Sheet(rooms.cut(f"out {k}", rows, size)) for k, size in layers]
        self.factors = [rooms.cut(f"factor {k}", rows, size) for k, size in layers]
        self.backs = [Sheet(rooms.cut(f"back {k}", rows, size)) for k, size in layers]
        self.hats = [rooms.cut(f"hat {k}", rows, size) for k, size in layers]
        self.inverses = [rooms.cut(f"inverse {k}", 1, size)[0] for k, size in layers]
        self.scores = rooms.cut("scores", rows, 1)[:, 0]
        self.vectors = Sheet(rooms.cut("vectors", rows, 2 * dim - share))
        self.users = Sheet(rooms.cut("users", groups, dim))
        self.back_to_users = Sheet(rooms.cut("back to users", groups, dim))
        first = hidden[0] if hidden else 0
        self.base, self.sums = (Sheet(rooms.cut(name, groups, first)) for name in ("base", "sums"))


class Rooms:
    """Rooms for batches, all in the same memory: a batch is over before the next begins.

    `widths` are those of what goes into the first layer and of the hidden layers.

    >>> import numpy as np
    >>> from lossdsl.recsys.rooms import Rooms
    >>> rooms = Rooms([4, 3], 2, np.dtype("float32"))
    >>> rooms.of(5, 0).inputs.array.shape, rooms.of(5, 1).inputs.array.shape, rooms.of(5, 0) is rooms.of(5, 0)
    ((5, 4), (5, 2), True)
    """

    def __init__(self, widths: Sequence[int], dim: int, dtype: np.dtype) -> None:
        self.widths = tuple(widths)
        self.dim = dim
        self.dtype = dtype
        self._rows = 0
        self._memory: dict[tuple[str, int], Array] = {}
        self._made: dict[tuple[int, int], Room] = {}

    def of(self, rows: int, groups: int) -> Room:
        """The room for so many rows and groups, of which there are no more than rows."""
        if rows > self._rows or len(self._made) > _MANY:
            self._rows = max(rows, self._rows)
            self._memory.clear()
            self._made.clear()
        room = self._made.get((rows, groups))
        if room is None:
            room = self._made[rows, groups] = Room(self, rows, groups)
        return room

    def cut(self, name: str, rows: int, width: int) -> Array:
        """So many rows of the matrix of this name and width."""
        if (name, width) not in self._memory:
            self._memory[name, width] = aligned(self._rows * width, self.dtype)
        return self._memory[name, width][: rows * width].reshape(rows, width)
