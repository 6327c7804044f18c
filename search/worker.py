"""What runs on a worker elsewhere: a batch of jobs comes in as text, and its results go out as text."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lossdsl import __version__
from lossdsl.recsys.trainer import State
from lossdsl.search.bench import Bench
from lossdsl.search.evaluator import carry_out, one_thread
from lossdsl.search.original_bench import make_bench
from lossdsl.search.settings import Settings
from lossdsl.search.toml import read
from lossdsl.search.wire import read as read_items
from lossdsl.search.wire import unpack, unpack_state
from lossdsl.search.wire import write as write_items

KEPT = 2  # data sets, and states of the recommender, that a worker remembers

_benches: OrderedDict[str, tuple[Bench, AbstractContextManager[Any]]] = OrderedDict()
_states: OrderedDict[str, State] = OrderedDict()
_building = threading.Lock()


def greet() -> str:
    """The version of lossdsl on a worker."""
    return __version__


def work(key: str, data: bytes, config: str, states: dict[str, bytes], jobs: str) -> str:
    """Carry out a batch on a worker: JSON in, JSON out. `key` names the data with the settings."""
    one_thread()
    try:
        bench, turn = _bench(key, data, config)
        items = read_items(json.loads(jobs), lambda digest: _state(digest, states))
        with turn:
            results = [carry_out(bench, item) for item in items]
    except Exception as error:  # what went wrong here is said there, in words
        return json.dumps({"lossdsl": __version__, "error": f"{type(error).__name__}: {error}"})
    return json.dumps({"lossdsl": __version__, "engine": bench.engine, "results": write_items(results)})


def _bench(key: str, data: bytes, config: str) -> tuple[Bench, AbstractContextManager[Any]]:
    with _building:
        if key not in _benches:
            bench = make_bench(unpack(data), read(config, Settings(), "the settings of the search"))
            # Threads of one process that train with torch would only wait for one another.
            _benches[key] = bench, threading.Lock() if bench.engine == "torch" else nullcontext()
            while len(_benches) > KEPT:
                _benches.popitem(last=False)
        return _benches[key]


def _state(digest: str, states: dict[str, bytes]) -> State:
    with _building:
        if digest not in _states:
            _states[digest] = unpack_state(states[digest])
            while len(_states) > KEPT:
                _states.popitem(last=False)
        return _states[digest]
