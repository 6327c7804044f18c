"""The run directory: what a crash may leave behind, and what is read again."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lossdsl.errors import LossError
from lossdsl.search.ledger import Ledger, Trial, read_trials, replace


def trial(number: int) -> Trial:
    return Trial(number, "(label-pred)^2", None, "trained", 0.5, 10, 1, "test")


def test_what_is_appended_can_be_read(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "run", "x = 1\n") as ledger:
        ledger.append(trial(1))
        ledger.append(trial(2))
    assert list(read_trials(tmp_path / "run")) == [trial(1), trial(2)]


def test_a_state_comes_back_exactly(tmp_path: Path) -> None:
    arrays = {"a.b": np.random.default_rng(0).normal(size=(3, 4)), "c": np.array([1, 2], np.int32)}
    meta = {"pi": 0.1 + 0.2, "list": [1, None, "ä"]}
    with Ledger.create(tmp_path, "") as ledger:
        ledger.save(arrays, meta)
    with Ledger.open(tmp_path) as ledger:
        loaded = ledger.load()
    assert loaded is not None
    assert loaded[1] == meta
    assert all(np.array_equal(loaded[0][name], array) and loaded[0][name].dtype == array.dtype
               for name, array in arrays.items())  # fmt: skip


def test_trials_that_no_state_knows_are_cut_off(tmp_path: Path) -> None:
    with Ledger.create(tmp_path, "") as ledger:
        ledger.append(trial(1))
        ledger.save({}, {"number": 1})
        ledger.append(trial(2))
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write('{"number": 3, "formu')  # what a kill in the middle of a write leaves
    assert [t.number for t in read_trials(tmp_path)] == [1, 2]
    with Ledger.open(tmp_path) as ledger:
        assert ledger.load() == ({}, {"number": 1})
        ledger.append(trial(2))
    assert [t.number for t in read_trials(tmp_path)] == [1, 2]


def test_what_is_amended_stands_in_the_state_and_cuts_at_the_same_place(tmp_path: Path) -> None:
    with Ledger.create(tmp_path, "") as ledger:
        ledger.amend({"finals": []})  # before there is a state: nothing
        ledger.append(trial(1))
        ledger.save({"a": np.arange(3)}, {"number": 1, "finals": []})
        ledger.append(trial(2))
        ledger.amend({"finals": [7]})
    with Ledger.open(tmp_path) as ledger:
        assert ledger.count() == 2
        arrays, meta = ledger.load() or ({}, {})
        assert arrays["a"].tolist() == [0, 1, 2] and meta == {"number": 1, "finals": [7]}
        assert ledger.count() == 1


def test_without_a_state_a_run_begins_again(tmp_path: Path) -> None:
    with Ledger.create(tmp_path, "") as ledger:
        ledger.append(trial(1))
    with Ledger.open(tmp_path) as ledger:
        assert ledger.load() is None
    assert list(read_trials(tmp_path)) == []


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty"])
def test_a_damaged_state_is_named_and_the_one_before_taken(tmp_path: Path, harm: str) -> None:
    with Ledger.create(tmp_path, "") as ledger:
        for number in (1, 2, 3):
            ledger.append(trial(number))
            ledger.save({"a": np.arange(1000) + number}, {"number": number})
    states = sorted((tmp_path / "state").glob("*.npz"))
    assert len(states) == 2
    content = bytearray(states[-1].read_bytes())
    middle = len(content) // 2
    content[middle] ^= 255
    states[-1].write_bytes({"truncate": content[:middle], "flip": bytes(content), "empty": b""}[harm])
    with Ledger.open(tmp_path) as ledger:
        loaded = ledger.load()
        assert loaded is not None and loaded[1] == {"number": 2}
        assert states[-1].name in ledger.warnings[0]
        ledger.append(trial(3))
        ledger.save({}, {"number": 3})
    assert [t.number for t in read_trials(tmp_path)] == [1, 2, 3]


def test_a_changed_byte_gives_the_same_state_or_the_one_before(tmp_path: Path) -> None:
    """Any byte of a zip's headers, of those of its arrays, or of the numbers."""
    arrays = {"long": np.arange(1200.0), "b.c": np.arange(5, dtype=np.int32)}
    with Ledger.create(tmp_path, "") as ledger:
        for number in (1, 2):
            ledger.append(trial(number))
            ledger.save({name: array + number for name, array in arrays.items()}, {"number": number})
    path = sorted((tmp_path / "state").glob("*.npz"))[-1]
    content, trials = path.read_bytes(), (tmp_path / "trials.jsonl").read_bytes()
    begin = content.index((arrays["long"] + 2).tobytes())
    numbers = range(begin + 40, begin + arrays["long"].nbytes - 40)
    damaged = 0
    for place in range(len(content)):
        for change in (1, 255) if place not in numbers else (255,) if place % 100 == 0 else ():
            harmed = bytearray(content)
            harmed[place] ^= change
            path.write_bytes(bytes(harmed))
            (tmp_path / "trials.jsonl").write_bytes(trials)
            with Ledger.open(tmp_path) as ledger:
                loaded = ledger.load()
                number = 1 if ledger.warnings else 2
            assert loaded is not None and loaded[1] == {"number": number}, (place, change)
            assert loaded[0].keys() == arrays.keys(), (place, change)
            for name, array in arrays.items():
                assert np.array_equal(loaded[0][name], array + number), (place, change, name)
            damaged += number == 1
    assert damaged > 700


def test_nothing_readable_is_said_and_not_guessed(tmp_path: Path) -> None:
    with Ledger.create(tmp_path, "") as ledger:
        ledger.save({}, {})
    next((tmp_path / "state").glob("*.npz")).write_bytes(b"PK")
    with Ledger.open(tmp_path) as ledger, pytest.raises(LossError, match="no readable state"):
        ledger.load()


def test_a_state_that_was_deleted_is_missed(tmp_path: Path) -> None:
    with Ledger.create(tmp_path, "") as ledger:
        ledger.append(trial(1))
    with Ledger.open(tmp_path) as ledger:  # killed before the first state
        assert ledger.load() is None
        assert ledger.warnings == ["the run had no state yet, so its first trials were made again"]
        ledger.append(trial(1))
        ledger.save({}, {})
        ledger.write_best({})
    before = (tmp_path / "trials.jsonl").read_bytes()
    next((tmp_path / "state").glob("*.npz")).unlink()
    with Ledger.open(tmp_path) as ledger, pytest.raises(LossError, match="a run whose state is gone"):
        ledger.load()
    assert (tmp_path / "trials.jsonl").read_bytes() == before


def test_a_pickle_in_the_place_of_a_state_is_not_loaded(tmp_path: Path) -> None:
    with Ledger.create(tmp_path, "") as ledger:
        ledger.save({}, {})
    path = next((tmp_path / "state").glob("*.npz"))
    np.savez(path, **{"meta.json": np.array([object()], dtype=object)})
    with Ledger.open(tmp_path) as ledger, pytest.raises(LossError, match="no readable state"):
        ledger.load()


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    with Ledger.create(tmp_path, ""), pytest.raises(LossError, match="another process"):
        Ledger.open(tmp_path)
    Ledger.open(tmp_path).close()


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    Ledger.create(tmp_path, "").close()
    with pytest.raises(LossError, match="--resume"):
        Ledger.create(tmp_path, "")


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.json"
    replace(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError):
        replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["best.json"]


def test_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(LossError, match="no run directory"):
        next(read_trials(tmp_path))


GOOD = json.loads(trial(1).line())


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"nonsense": 1}).encode(),
        json.dumps({**GOOD, "formula": "ä"}, ensure_ascii=False).encode("latin-1"),
        json.dumps(GOOD).encode("utf-16-le"),
        b"", b"[]", b"null", b"{", b"[" * 100_000,
        *(json.dumps({**GOOD, name: {}}).encode() for name in GOOD),
        json.dumps({**GOOD, "rows": 1.5}).encode(),
        json.dumps({**GOOD, "number": None}).encode(),
    ],
)  # fmt: skip
def test_a_line_that_is_no_trial_is_named(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_bytes(trial(1).line().encode() + line + b"\n")
    with pytest.raises(LossError, match="trials.jsonl:2: not a trial"):
        list(read_trials(tmp_path))


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("size", "name"), [(10, "config.toml"), (200, "trials.jsonl"), (3000, "00000001.npz"), (100_000, "trials.jsonl")]
)
def test_a_failed_write_names_the_file_and_can_be_resumed(size: int, name: str, tmp_path: Path) -> None:
    arrays = {"noise": np.zeros(500)}
    with pytest.raises(OSError) as caught, no_file_over(size), Ledger.create(tmp_path, "x = 12345678\n") as ledger:
        for number in range(1, 10**6):
            ledger.append(trial(number))
            if number % 10 == 0:
                ledger.save(arrays, {"number": number})
    assert Path(caught.value.filename).name == name
    if name == "config.toml":
        Ledger.create(tmp_path, "x = 12345678\n").close()
        return
    with Ledger.open(tmp_path) as ledger:
        state = ledger.load()
        known = state[1]["number"] if state else 0
        assert [t.number for t in read_trials(tmp_path)] == list(range(1, known + 1))
