"""Memory that batches use again."""

from __future__ import annotations

import numpy as np

from lossdsl.recsys import rooms as module
from lossdsl.recsys.rooms import Rooms


def test_rooms_lie_in_the_same_memory_until_a_larger_one_is_asked_for() -> None:
    rooms = Rooms([6, 5, 4], 2, np.dtype("float32"))
    large, small = rooms.of(10, 3), rooms.of(4, 0)
    assert np.shares_memory(large.outs[0].array, small.outs[0].array)
    assert large.inputs.array.shape == (10, 4) and small.inputs.array.shape == (4, 6)
    assert [back.array.shape for back in large.backs] == [(10, 5), (10, 4)]
    assert large.users.array.shape == large.back_to_users.array.shape == (3, 2)
    assert large.base.array.shape == large.sums.array.shape == (3, 5)
    assert large.vectors.array.shape == (10, 2) and small.vectors.array.shape == (4, 4)
    larger = rooms.of(11, 0)
    assert not np.shares_memory(larger.outs[0].array, large.outs[0].array)
    assert np.shares_memory(larger.outs[0].array, rooms.of(10, 3).outs[0].array)


def test_parts_of_one_room_never_overlap() -> None:
    room = Rooms([6, 5, 4], 2, np.dtype("float64")).of(7, 2)
    sheets = [room.inputs, room.vectors, room.users, room.back_to_users, room.base, room.sums, *room.outs, *room.backs]
    arrays = [*(sheet.array for sheet in sheets), *room.factors, *room.hats, *room.inverses, room.scores]
    for k, one in enumerate(arrays):
        assert one.ctypes.data % 64 == 0
        assert not any(np.shares_memory(one, other) for other in arrays[:k])
    sheets[0].tensor[0, 1] = 5
    assert sheets[0].array[0, 1] == sheets[0].turned[1, 0] == 5


def test_views_are_not_kept_without_end(monkeypatch) -> None:
    monkeypatch.setattr(module, "_MANY", 3)
    rooms = Rooms([2], 1, np.dtype("float32"))
    for rows in range(20, 1, -1):
        rooms.of(rows, 0)
        assert len(rooms._made) <= 5
