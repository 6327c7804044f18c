"""Text tables read strictly: a bad cell is named by file, line and column, never guessed away."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossdsl.errors import MissingExtra
from lossdsl.recsys.dataset import Array, DataError

if TYPE_CHECKING:
    import pandas as pd


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingExtra("train", "reading data") from None
    return pandas


def read_table(path: Path, *, sep: str, names: list[str] | None = None) -> pd.DataFrame:
    """Reads a delimited file; without `names` its first line names the columns. Errors are one `DataError` sentence."""
    pandas = _pandas()
    _look(path, sep)
    try:
        return pandas.read_csv(
            path,
            sep=sep,
            header=0 if names is None else None,
            encoding="utf-8-sig",
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            **({"engine": "python"} if len(sep) > 1 else {"engine": "c", "low_memory": False}),
            **({} if names is None else {"names": names}),
        )
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except pandas.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file in UTF-8") from None
    except pandas.errors.ParserError as error:
        raise DataError(_sentence(error, path)) from None
    except (EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


MARKS = {"\t": "tabs", ",": "commas", ";": "semicolons", "::": "`::`"}
_END = 65_536


def _look(path: Path, sep: str) -> None:
    """Complains of what pandas would take for data: no byte at all, bytes of nought, another separator."""
    try:
        with open(path, "rb") as file:
            head = file.read(_END)
            file.seek(max(0, path.stat().st_size - _END))
            tail = file.read(_END)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not head.strip():
        raise DataError(f"{path}: the file is empty")
    # A crash while a file is written leaves a block of them at its end.
    if b"\0" in head + tail and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: the file is damaged: it holds bytes of nought, which no text does")
    first = head.lstrip().split(b"\n", 1)[0]
    others = [mark for mark in MARKS if mark.encode() in first]
    if sep.encode() not in first and others:
        raise DataError(f"{path}: the columns are separated by {MARKS[others[0]]}; this form has {MARKS[sep]}")


def read_parquet(path: Path) -> pd.DataFrame:
    """Reads a Parquet file; errors are one `DataError` sentence."""
    pandas = _pandas()
    try:
        return pandas.read_parquet(path)
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow: pip install pyarrow") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception:  # pyarrow's errors have many types, and its words are for those who know the format
        what = (
            "the file is empty" if path.stat().st_size == 0 else "not a Parquet file, or one that is cut off or damaged"
        )
        raise DataError(f"{path}: {what}") from None


def _sentence(error: Exception, path: Path) -> str:
    text = str(error).strip().splitlines()[-1].removeprefix("Error tokenizing data. C error: ")
    if wide := re.match(r"Expected (\d+) fields in line (\d+), saw (\d+)", text):
        return f"{path}:{wide[2]}: {wide[3]} columns, where the lines before have {wide[1]}"
    return f"{path}: {text}"


def need(table: pd.DataFrame, column: str, path: Path, *, flag: str | None = None) -> Any:
    """The column of that name, or one sentence that says which columns there are, and the `flag` that names another."""
    if column not in table.columns:
        found = ", ".join(f"`{name}`" for name in list(table.columns)[:12])
        hint = "" if flag is None else f"; name the right one with {flag}"
        raise DataError(f"{path}: no column `{column}`; the columns are {found}{hint}")
    return table[column]


def ids(table: pd.DataFrame, column: str, path: Path, *, header: bool = True) -> Array:
    """A column of ids: whole numbers from 0 on as int64, anything else as text."""
    cells = need(table, column, path)
    _complete(cells, column, path, header)
    values = cells.to_numpy()
    if values.dtype.kind == "f":
        if np.isfinite(values).all() and (values == np.floor(values)).all():
            values = values.astype(np.int64)
        else:
            values = values.astype(str)
    if values.dtype.kind in "iu":
        below = np.flatnonzero(values < 0)
        if len(below):
            row = int(below[0])
            raise DataError(f"{path}:{line(path, row, header)}: the {column} {values[row]} is negative")
        return values.astype(np.int64)
    return values.astype(str)


def numbers(table: pd.DataFrame, column: str, path: Path, *, header: bool = True) -> Array:
    """A column of finite numbers as float64."""
    pandas = _pandas()
    cells = need(table, column, path)
    _complete(cells, column, path, header)
    values = pandas.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        row = int(bad[0])
        raise DataError(f"{path}:{line(path, row, header)}: the {column} `{cells.iloc[row]}` is not a number")
    return values


def _complete(cells: Any, column: str, path: Path, header: bool) -> None:
    if not len(cells):
        raise DataError(f"{path}: the file has no rows")
    gaps = np.flatnonzero(cells.isna().to_numpy())
    if len(gaps):
        row = int(gaps[0])
        raise DataError(f"{path}:{line(path, row, header)}: the {column} is missing; is the file cut off?")


def line(path: Path, row: int, header: bool) -> int:
    """The line, from 1, on which data row `row` stands; blank lines hold none."""
    left = row + (1 if header else 0)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    if left == 0:
                        return number
                    left -= 1
    except OSError:
        pass
    return row + (2 if header else 1)
