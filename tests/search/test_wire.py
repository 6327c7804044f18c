"""Data, states, jobs and results go out and come back the same, to the last bit, without pickle."""

from __future__ import annotations

import io
import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset, Rows
from lossdsl.recsys.trainer import State
from lossdsl.search.bench import Job, Result
from lossdsl.search.original_bench import Step, Stepped
from lossdsl.search.wire import pack, pack_state, read, unpack, unpack_state, write

numbers = st.floats(allow_nan=False)
whole = st.integers(0, 2**40)
jobs = st.builds(Job, st.text(), st.lists(numbers).map(tuple), st.lists(whole).map(tuple), numbers, numbers, whole)
results = st.builds(Result, numbers, numbers, numbers, whole, whole, numbers, st.text(), st.lists(numbers).map(tuple))


def there_and_back(items: list[Any], **more: Any) -> list[Any]:
    return read(json.loads(json.dumps(write(items))), **more)


@given(st.lists(jobs | results))
def test_jobs_and_results_keep_every_bit(items: list[Any]) -> None:
    assert there_and_back(items) == items
    assert repr(there_and_back(items)) == repr(items)  # a zero keeps its sign


def test_numbers_of_numpy_travel_as_numbers() -> None:
    result = Result(np.float64(0.1), np.float32(0.1), 0.0, np.int64(3), 1, 0.0, "", (np.float64(1 / 3),))  # type: ignore[arg-type]
    back = there_and_back([result])[0]
    assert back == result and type(back.rows) is int and type(back.values[0]) is float


def state() -> State:
    rng = np.random.default_rng(0)
    return State({"P": rng.standard_normal((3, 2)).astype(np.float32), "bias": np.zeros(0), "n": np.array(3)}, 7)


def test_steps_and_states() -> None:
    start = state()
    assert unpack_state(pack_state(start)).digest == start.digest
    back = there_and_back([Step("pred", start, 2, True)], start={start.digest: start}.__getitem__)[0]
    assert (back.formula, back.start, back.epochs, back.regularised) == ("pred", start, 2, True)
    one, two = there_and_back([Stepped(0.5, start, 3, 0.1, "note"), Stepped(None, None, 0, 0.0)])
    assert one.state.digest == start.digest and (one.reward, one.note) == (0.5, "note")
    assert two.state is None and two.reward is None


def test_data_of_every_kind() -> None:
    demo = load("demo")
    features = np.arange(demo.users, dtype=np.float32).reshape(-1, 1)
    context = Rows(demo.test.user, demo.test.item, demo.test.label, np.ones((len(demo.test), 2), np.float32))
    named = Dataset("näme", demo.train, demo.validation, context, np.array([f"ü{k}" for k in range(demo.users)]),
                    demo.item_ids, features, None, True, ("a note",))  # fmt: skip
    for data in (demo, named):
        back = unpack(pack(data))
        assert back.fingerprint == data.fingerprint
        assert (back.name, back.documents, back.notes) == (data.name, data.documents, data.notes)


def test_no_object_is_pickled_or_unpickled() -> None:
    with pytest.raises(LossError, match="objects"):
        pack_state(State({"a": np.array([{}])}, 0))
    buffer = io.BytesIO()
    np.savez(buffer, **{"array.a": np.array([{}]), "meta": np.frombuffer(b'{"epoch": 1}', np.uint8)})
    for content in (buffer.getvalue(), pickle.dumps({"epoch": 1}), b"", pack_state(state())[:-30]):
        with pytest.raises(LossError, match="damaged"):
            unpack_state(content)


@pytest.mark.parametrize("item", [{}, {"kind": "Trainer"}, {"kind": "Job", "formula": "pred"}])
def test_what_another_version_says_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(LossError, match="another lossdsl"):
        read([item])
