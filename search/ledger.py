"""A search's run directory: what was tried, and all that is needed to go on after the machine has died.

Trials are appended; the state says up to which byte they count. A process that dies between two states leaves trials
behind that the state does not know: resuming cuts them off and writes them again, the same ones.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.errors import LossError, naming

STATE_VERSION = 3
Arrays = dict[str, NDArray[Any]]
_META = "meta.json"
_KEPT = 2


@dataclass(frozen=True)
class Trial:
    """One proposal and what became of it; a line of `trials.jsonl`.

    `fate` is trained, duplicate, filtered or failed. `reward` is null where nothing was measured, `rows` and `epochs`
    say on how much training it rests, `why` says what a filter or a failure objected to, `start` names the state of
    the recommender that training started from (null: a fresh one drawn from `seed`).
    """

    number: int
    formula: str
    hash: str | None
    fate: str
    reward: float | None
    rows: int
    epochs: int
    source: str
    why: str | None = None
    start: int | None = None
    seed: int | None = None
    seconds: float = 0.0
    at: float = 0.0

    def line(self) -> str:
        """The trial as one line of JSON."""
        # Not `asdict`, which copies every value: a search writes hundreds of lines a second.
        return json.dumps({name: getattr(self, name) for name in _FIELDS}, ensure_ascii=False) + "\n"


_FIELDS = tuple(f.name for f in fields(Trial))
_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,), "str": (str,), "float": (int, float), "str | None": (str, type(None)),
    "int | None": (int, type(None)), "float | None": (int, float, type(None)),
}  # fmt: skip
_KINDS = tuple((f.name, _TYPES[str(f.type)]) for f in fields(Trial))


def read_trials(run_dir: Path | str) -> Iterator[Trial]:
    """The trials of a run, in order; a last line that was cut off is left out.

    >>> import tempfile
    >>> from lossdsl.search.ledger import Ledger, Trial, read_trials
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Ledger.create(folder + "/run", "") as ledger:
    ...         ledger.append(Trial(1, "pred", None, "filtered", None, 0, 0, "random"))
    ...     [trial.formula for trial in read_trials(folder + "/run")]
    ['pred']
    """
    path = Path(run_dir) / "trials.jsonl"
    if not path.is_file():
        raise LossError(f"{run_dir} is no run directory: it has no trials.jsonl")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _trial(line)
            except (TypeError, ValueError, RecursionError) as error:
                raise LossError(f"{path}:{number}: not a trial: {error}") from None


def _trial(line: bytes) -> Trial:
    trial = Trial(**json.loads(line.decode()))
    for name, kinds in _KINDS:
        value = getattr(trial, name)
        if not isinstance(value, kinds):
            raise TypeError(f"`{name}` cannot be {value!r}")
    return trial


class Ledger:
    """The files of one run, open for writing by one process at a time.

    Use `create` for a new run and `open` to go on with one; both lock the directory until `close`.
    """

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._lock = lock
        self._trials = (path / "trials.jsonl").open("ab")
        self._next = 0

    @classmethod
    def create(cls, path: Path | str, config: str) -> Ledger:
        """Start a run in a directory that holds none yet."""
        path = Path(path)
        if (path / "config.toml").exists():
            raise LossError(f"{path} already holds a run; go on with it by --resume, or give another --run-dir")
        (path / "state").mkdir(parents=True, exist_ok=True)
        ledger = cls(path, _locked(path))
        try:
            ledger.configure(config)
        except OSError:
            ledger.close()  # a notebook may try again
            raise
        return ledger

    @classmethod
    def open(cls, path: Path | str) -> Ledger:
        """Go on with the run in a directory."""
        path = Path(path)
        if not (path / "config.toml").is_file():
            raise LossError(f"{path} holds no run to resume: it has no config.toml")
        (path / "state").mkdir(exist_ok=True)
        return cls(path, _locked(path))

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is buffered and let another process have the directory."""
        try:
            with naming(self._trials.name):
                self._trials.close()
        finally:
            self._lock.close()

    def append(self, trial: Trial) -> None:
        """Add a trial; it counts once the next `save` has gone through."""
        with naming(self._trials.name):
            self._trials.write(trial.line().encode())

    def count(self) -> int:
        """How many whole lines of trials there are."""
        with (self.path / "trials.jsonl").open("rb") as lines:
            return sum(line.endswith(b"\n") for line in lines)

    def flush(self) -> None:
        """Hand the trials to the operating system, so that others can follow the run."""
        with naming(self._trials.name):
            self._trials.flush()

    def save(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
        """Replace the state by one that knows all trials so far.

        The state before is kept, in case this one is damaged.
        """
        self.flush()
        with naming(self._trials.name):
            os.fsync(self._trials.fileno())
        document = {"version": STATE_VERSION, "bytes": self._trials.tell(), "arrays": [*arrays], "meta": dict(meta)}
        self._next += 1
        replace(self._file(self._next), _packed(arrays, document))
        for number in self._numbers():
            if number <= self._next - _KEPT:
                self._file(number).unlink(missing_ok=True)

    def amend(self, meta: Mapping[str, Any]) -> None:
        """Add to the last state what does not depend on trials after it; nothing where there is no state yet."""
        if self._next == 0:
            return
        arrays, document = _read_state(self._file(self._next))
        replace(self._file(self._next), _packed(arrays, {**document, "meta": {**document["meta"], **meta}}))

    def load(self) -> tuple[Arrays, dict[str, Any]] | None:
        """The last good state, with the trials cut back to what it knows; None where the run has no state yet.

        A damaged state is named in `warnings` and the one before it taken. A run that has a result had a state.
        """
        numbers = self._numbers()
        for number in reversed(numbers):
            try:
                arrays, document = _read_state(self._file(number))
                size = (self.path / "trials.jsonl").stat().st_size
                if size < document["bytes"]:
                    raise LossError(f"trials.jsonl has {size} bytes, and the state counts {document['bytes']}")
            except (OSError, LossError) as error:
                self.warnings.append(f"{self._file(number).name} is damaged and was passed over: {error}")
                continue
            self._trials.truncate(document["bytes"])
            self._trials.seek(0, os.SEEK_END)
            self._next = number
            for later in numbers:
                if later > number:
                    self._file(later).unlink(missing_ok=True)
            return arrays, document["meta"]
        if numbers:
            raise LossError(f"no readable state in {self.path / 'state'}: " + "; ".join(self.warnings))
        if (self.path / "best.json").exists():
            raise LossError(f"{self.path} holds the result of a run whose state is gone: state/ is empty")
        if self._trials.tell():
            self.warnings.append("the run had no state yet, so its first trials were made again")
        self._trials.truncate(0)
        return None

    def configure(self, config: str) -> None:
        """Replace `config.toml`."""
        replace(self.path / "config.toml", config.encode())

    def write_best(self, best: Mapping[str, Any]) -> None:
        """Replace `best.json`."""
        replace(self.path / "best.json", (json.dumps(best, indent=2, ensure_ascii=False) + "\n").encode())

    def _file(self, number: int) -> Path:
        return self.path / "state" / f"{number:08d}.npz"

    def _numbers(self) -> list[int]:
        return sorted(int(p.stem) for p in (self.path / "state").glob("*.npz") if p.stem.isdigit())


def replace(path: Path, content: bytes) -> None:
    """Put `content` in place of a file's: a reader, or a crash, sees the old or the new file, never a part of one."""
    draft = path.with_name(path.name + ".part")
    try:
        with naming(path), draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _locked(path: Path) -> IO[str]:
    lock = (path / "state" / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise LossError(f"another process is writing to {path}") from None
    return lock


def _packed(arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    named: dict[str, Any] = {_META: np.frombuffer(json.dumps(document).encode(), dtype=np.uint8), **arrays}
    np.savez(buffer, **named)
    return buffer.getvalue()


def _read_state(path: Path) -> tuple[Arrays, dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            # Whole, for only then checksums are looked at: an array whose header has lost a digit ends before.
            contents = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
        arrays = {name: np.load(io.BytesIO(content), allow_pickle=False) for name, content in contents.items()}
        document = json.loads(arrays.pop(_META).tobytes())
        lost = set(document.get("arrays", ())) - arrays.keys()
    except Exception as error:  # what reading raises depends on which byte is wrong, down to NotImplementedError
        raise LossError(f"{type(error).__name__}: {error}") from None
    if lost:
        raise LossError(f"it lacks `{min(lost)}`")
    if document.get("version") != STATE_VERSION:
        raise LossError(f"state version {document.get('version')}, this is version {STATE_VERSION}")
    return arrays, document
