"""Bad data as a user meets it: the whole text of each refusal, exit code 2, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lossdsl.cli.main import main

torch.set_num_threads(1)

GOOD = "uid\tiid\tlabel\n1\t10\t1\n1\t11\t0\n2\t10\t0\n2\t12\t1\n"
HELD = "uid\tiid\tlabel\n1\t12\t1\n2\t11\t0\n"
LAST = "uid\tiid\tlabel\n1\t13\t1\n2\t13\t0\n"


def whole(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(args))
    out = capsys.readouterr()
    return int(left.value.code or 0), out.out, out.err


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


# What stands in train, validation and test; and all that is said.
TRIPLES = {
    "empty split": ((GOOD, "uid\tiid\tlabel\n", LAST), "d/toy.validation.csv: the file has no rows"),
    "file of 0 bytes": ((GOOD, HELD, ""), "d/toy.test.csv: the file is empty"),
    "blank lines only": ((GOOD, HELD, "\n\n"), "d/toy.test.csv: the file is empty"),
    "no negative": (
        ("uid\tiid\tlabel\n1\t2\t1\n2\t3\t1\n", HELD, LAST),
        "toy: train has no negative row, so nothing can be told apart",
    ),
    "no positive in validation": (
        (GOOD, "uid\tiid\tlabel\n1\t12\t0\n", LAST),
        "toy: validation has no positive row, so nothing can be told apart",
    ),
    "duplicate rows": (
        (GOOD + "1\t10\t0\n", HELD, LAST),
        "toy: train has user 1 with item 10 twice; take the last row of each with --duplicates last, or all with "
        "--duplicates keep",
    ),
    "a test row in train": (
        (GOOD, HELD, LAST + "1\t10\t0\n"),
        "toy: user 1 with item 10 is in train and in test; if that is meant, say --duplicates keep",
    ),
    "label NaN": (
        (changed("2\t12\t1", "2\t12\tnan"), HELD, LAST),
        "d/toy.train.csv:5: the label `nan` is not a number",
    ),
    "label 2": ((changed("2\t12\t1", "2\t12\t2"), HELD, LAST), "d/toy.train.csv:5: the label 2 is neither 0 nor 1"),
    "negative user": ((changed("2\t12\t1", "-2\t12\t1"), HELD, LAST), "d/toy.train.csv:5: the uid -2 is negative"),
    "negative item": ((changed("2\t12\t1", "2\t-12\t1"), HELD, LAST), "d/toy.train.csv:5: the iid -12 is negative"),
    "cut off": ((GOOD[:-3], HELD, LAST), "d/toy.train.csv:5: the label is missing; is the file cut off?"),
    "cut off, Windows": (
        (GOOD.replace("\n", "\r\n")[:-5], HELD, LAST),
        "d/toy.train.csv:5: the label is missing; is the file cut off?",
    ),
    "bytes of nought": (
        (GOOD + "\0" * 512, HELD, LAST),
        "d/toy.train.csv: the file is damaged: it holds bytes of nought, which no text does",
    ),
    "commas": (
        (GOOD.replace("\t", ","), HELD, LAST),
        "d/toy.train.csv: the columns are separated by commas; this form has tabs",
    ),
    "a column more": (
        (changed("2\t12\t1", "2\t12\t1\t9"), HELD, LAST),
        "d/toy.train.csv:5: 4 columns, where the lines before have 3",
    ),
    "no such column": (
        (GOOD.replace("iid", "movie"), HELD, LAST),
        "d/toy.train.csv: no column `iid`; the columns are `uid`, `movie`, `label`; name the right one with --item",
    ),
}


@pytest.mark.parametrize("case", list(TRIPLES))
def test_triples(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, said = TRIPLES[case]
    monkeypatch.chdir(tmp_path)
    Path("d").mkdir()
    for split, text in zip(("train", "validation", "test"), texts):
        Path("d", f"toy.{split}.csv").write_bytes(text.encode())
    before = sorted(Path().rglob("*"))
    code, out, err = whole(capsys, "train", "--loss", "bce", "--data", "d", "--save", "model")
    assert (code, out, err) == (2, "", f"lossdsl: {said}\n")
    assert sorted(Path().rglob("*")) == before


BOTH = [b"\xef\xbb\xbf", b""]


@pytest.mark.parametrize("mark", BOTH)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_bom_and_windows_line_ends_are_no_fault(
    mark: bytes, end: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, text in zip(("train", "validation", "test"), (GOOD, HELD, LAST)):
        (tmp_path / f"toy.{split}.csv").write_bytes(mark + text.encode().replace(b"\n", end))
    code, out, err = whole(capsys, "data", "show", str(tmp_path))
    assert (code, err) == (0, "") and "toy: 2 users, 4 items" in out


RATINGS = "userId,movieId,rating,timestamp\n" + "".join(
    f"{u},{i},{1 + (u + i) % 5},{100 * u + i}\n" for u in range(1, 5) for i in range(1, 9)
)
FILES = {
    "NaN rating": ("r.csv", RATINGS.replace("1,1,3,101", "1,1,nan,101"), "r.csv:2: the rating `nan` is not a number"),
    "no rating": (
        "r.csv",
        RATINGS.replace("1,1,3,101", "1,1,,101"),
        "r.csv:2: the rating is missing; is the file cut off?",
    ),
    "comma for a point": (
        "r.csv",
        RATINGS.replace(",", ";").replace("1;1;3;101", "1;1;3,5;101"),
        "r.csv:2: the rating `3,5` is not a number",
    ),
    "no time": (
        "r.csv",
        RATINGS.replace("1,1,3,101", "1,1,3,"),
        "r.csv:2: the timestamp is missing; is the file cut off?",
    ),
    "negative id": ("r.csv", RATINGS.replace("1,1,3,101", "-1,1,3,101"), "r.csv:2: the userId -1 is negative"),
    "twice": (
        "r.csv",
        RATINGS + "1,1,3,9999\n",
        "r.csv has user 1 with item 1 twice; take the last row of each with --duplicates last, or all with "
        "--duplicates keep",
    ),
    "no liked rating": (
        "r.csv",
        "uid,iid,rating\n1,1,3\n1,2,2\n2,1,1\n",
        "r: there is no positive row to train on: no rating is above --threshold 3",
    ),
    "labels of 0 alone": (
        "r.csv",
        "uid,iid,label\n1,1,0\n1,2,0\n2,1,0\n",
        "r: there is no positive row to train on: every label is 0",
    ),
    "no column of users": (
        "r.csv",
        RATINGS.replace("userId", "who"),
        "r.csv: no column `user_id`; the columns are `who`, `movieId`, `rating`, `timestamp`; "
        "name the right one with --user",
    ),
    "0 bytes": ("u.data", "", "u.data: the file is empty"),
    "commas in u.data": (
        "u.data",
        RATINGS.partition("\n")[2],
        "u.data: the columns are separated by commas; this form has tabs",
    ),
    "0 bytes of Parquet": ("r.parquet", "", "r.parquet: the file is empty"),
    "no Parquet": ("r.parquet", "PAR1 and so on", "r.parquet: not a Parquet file, or one that is cut off or damaged"),
    "unknown": (
        "r.xls",
        "what is this",
        "r.xls: not a form that is known; give *.train.csv, u.data, .inter, .dat, .csv, .tsv or .parquet",
    ),
    "loose documents": (
        "r.txt",
        "1 qid:3 1:0.5\n",
        "r.txt: documents come as a folder: S1.txt to S5.txt, or train.txt, vali.txt and test.txt",
    ),
}


@pytest.mark.parametrize("case", list(FILES))
def test_single_files(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "Parquet" in case:
        pytest.importorskip("pyarrow")
    name, text, said = FILES[case]
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    code, out, err = whole(capsys, "data", "show", name)
    assert (code, out, err) == (2, "", f"lossdsl: {said}\n")


ABSENT = {
    ("data", "show", "nowhere"): "nowhere: no such data; give `demo`, `ml-100k`, a file or a folder",
    ("data", "show", "ml-100k"): "ml-100k is not here yet; fetch it once with `lossdsl data get ml-100k`",
    ("data", "show", "."): (
        ".: no data in a known form here; looked for *.train.csv, u.data, *.inter, ratings.csv, ratings.dat, "
        "S1.txt to S5.txt, train.txt with vali.txt and test.txt"
    ),
    ("data", "show", "demo", "--threshold", "nan"): "the threshold has to be a number, not nan; see --threshold",
    ("train", "--load", "nowhere", "--data", "demo"): "nowhere: no saved model here (training.json is missing)",
    ("compare", "--loss", "bce", "--data", "demo", "--csv", "no/t.csv"): (
        "no/t.csv: cannot be written to (there is no folder no)"
    ),
}


@pytest.mark.parametrize("args", list(ABSENT))
def test_what_is_not_there(
    args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOSSDSL_CACHE", str(tmp_path / "cache"))
    assert whole(capsys, *args) == (2, "", f"lossdsl: {ABSENT[args]}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that may be looked into but not written to, also where the tests run as root."""
    folder = Path(tempfile.mkdtemp(dir="/tmp" if os.path.isdir("/tmp") else None))
    (folder / "secret.csv").write_text("mine")
    (folder / "secret.csv").chmod(0o000)
    folder.chmod(0o555)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        if os.access(folder, os.W_OK, **({"effective_ids": True} if os.access in os.supports_effective_ids else {})):
            pytest.skip("this file system keeps nobody out")
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


WRITES = {
    "--save": ("train", "--loss", "bce", "--data", "demo", "--epochs", "1", "--save"),
    "--run-dir": ("compare", "--loss", "bce", "--data", "demo", "--run-dir"),
    "--csv": ("compare", "--loss", "bce", "--data", "demo", "--csv"),
    "--plot": ("compare", "--loss", "bce", "--data", "demo", "--plot"),
}


@pytest.mark.parametrize("option", list(WRITES))
def test_no_permission_to_write(option: str, locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = locked / ("out.svg" if option in ("--csv", "--plot") else "out")
    code, out, err = whole(capsys, *WRITES[option], str(place))
    told = locked if option in ("--csv", "--plot") else place
    assert (code, out, err) == (2, "", f"lossdsl: {told}: cannot be written to (Permission denied)\n")
    assert [path.name for path in locked.iterdir()] == ["secret.csv"]


def test_no_permission_to_read(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = locked / "secret.csv"
    assert whole(capsys, "data", "show", str(path)) == (
        2,
        "",
        f"lossdsl: {path}: cannot be read (Permission denied)\n",
    )


def test_an_unknown_user_at_prediction() -> None:
    from lossdsl.recsys import DataError, Rows, Trainer, load

    data = load("demo")
    trainer = Trainer("bce", data)
    known = trainer.scores(Rows(data.user_index(["3"]), data.item_index([7]), [0]))
    assert known.shape == (1,)
    for ids, said in (
        (["eve"], "unknown user `eve`: ids here are numbers"),
        ([10**6], "unknown user `1000000`: it is in none of the splits"),
        ([-1], "unknown user `-1`: it is in none of the splits"),
    ):
        with pytest.raises(DataError) as caught:
            data.user_index(ids)
        assert str(caught.value) == said
