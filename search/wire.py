"""What travels to other machines and back: data and states as arrays without pickle, jobs and results as JSON text."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.errors import LossError
from lossdsl.recsys.dataset import SPLITS, Dataset, Rows
from lossdsl.recsys.trainer import State
from lossdsl.search.bench import Job, Result
from lossdsl.search.original_bench import Step, Stepped

_COLUMNS = ("user", "item", "label", "context")
_FEATURES = ("user_features", "item_features")
_META = "meta"
# What a job or a result may be; the name goes with it.
_KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (Job, Result, Step, Stepped)}


def pack(data: Dataset) -> bytes:
    """A data set as one file of arrays.

    >>> from lossdsl.recsys.data import load
    >>> from lossdsl.search.wire import pack, unpack
    >>> data = load("demo")
    >>> unpack(pack(data)).fingerprint == data.fingerprint
    True
    """
    arrays: dict[str, NDArray[Any]] = {"user_ids": data.user_ids, "item_ids": data.item_ids}
    for split in SPLITS:
        for column in _COLUMNS:
            arrays[f"{split}.{column}"] = getattr(data.split(split), column)
    for name in _FEATURES:
        arrays[name] = getattr(data, name)
    meta = {"name": data.name, "documents": data.documents, "notes": list(data.notes)}
    return _file({name: array for name, array in arrays.items() if array is not None}, meta)


def unpack(content: bytes) -> Dataset:
    """The data set that `pack` made a file of."""
    arrays, meta = _arrays(content)
    train, validation, test = (_rows(arrays, split) for split in SPLITS)
    return Dataset(
        meta["name"],
        train,
        validation,
        test,
        user_ids=arrays["user_ids"],
        item_ids=arrays["item_ids"],
        user_features=arrays.get("user_features"),
        item_features=arrays.get("item_features"),
        documents=meta["documents"],
        notes=tuple(meta["notes"]),
    )


def _rows(arrays: Mapping[str, NDArray[Any]], split: str) -> Rows:
    user, item, label = (arrays[f"{split}.{column}"] for column in _COLUMNS[:3])
    return Rows(user, item, label, arrays.get(f"{split}.context"))


def pack_state(state: State) -> bytes:
    """A recommender's state as one file of arrays."""
    return _file(state.arrays, {"epoch": state.epoch})


def unpack_state(content: bytes) -> State:
    """The state that `pack_state` made a file of."""
    arrays, meta = _arrays(content)
    return State(arrays, meta["epoch"])


def write(items: Sequence[Job | Result | Step | Stepped]) -> list[dict[str, Any]]:
    """Jobs or results as plain data for JSON; numbers keep every bit, infinities included.

    The state that a step starts from is written as its digest, the state that it led to whole.

    >>> from lossdsl.search.bench import Job
    >>> from lossdsl.search.wire import read, write
    >>> jobs = [Job("(label-pred)^2", (1e-4,), (0, 1))]
    >>> read(write(jobs)) == jobs
    True
    """
    return [{"kind": type(item).__name__, **_plain(item)} for item in items]


def read(items: Sequence[Mapping[str, Any]], start: Callable[[str], State] | None = None) -> list[Any]:
    """The jobs or results that `write` wrote; `start` gives the state of a digest."""
    out = []
    for item in items:
        kind = _KINDS.get(item.get("kind", ""))
        if kind is None or {f.name for f in fields(kind)} != item.keys() - {"kind"}:
            raise LossError("the other side speaks of jobs and results that are not known here: it has another lossdsl")
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in item.items() if name != "kind"
        }
        if kind is Step:
            assert start is not None
            values["start"] = start(values["start"])
        if kind is Stepped and values["state"] is not None:
            values["state"] = unpack_state(base64.b64decode(values["state"]))
        out.append(kind(**values))
    return out


def _plain(item: Job | Result | Step | Stepped) -> dict[str, Any]:
    values: dict[str, Any] = {f.name: getattr(item, f.name) for f in fields(item)}
    if isinstance(item, Step):
        values["start"] = item.start.digest
    if isinstance(item, Stepped) and item.state is not None:
        values["state"] = base64.b64encode(pack_state(item.state)).decode("ascii")
    return {name: _number(value) for name, value in values.items()}


def _number(value: Any) -> Any:
    """NumPy's numbers as Python's own, exactly."""
    if isinstance(value, tuple):
        return [_number(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _file(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> bytes:
    if any(array.dtype.hasobject for array in arrays.values()):
        raise LossError("an array of objects cannot travel")  # NumPy would pickle it
    buffer = io.BytesIO()
    named: dict[str, Any] = {f"array.{name}": array for name, array in arrays.items()}
    named[_META] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    np.savez(buffer, **named)
    return buffer.getvalue()


def _arrays(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name.removeprefix("array."): archive[name] for name in archive.files}
        meta: dict[str, Any] = json.loads(arrays.pop(_META).tobytes())
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise LossError(f"what came over the wire is damaged: {error}") from None
    return arrays, meta
