"""Files that can be read, and one clear sentence for each that cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import DataError

GOOD = "uid\tiid\tlabel\n1\t10\t1\n1\t11\t0\n2\t10\t0\n2\t12\t1\n"
HELD = "uid\tiid\tlabel\n1\t12\t1\n2\t11\t0\n"


def folder(path: Path, train: str | bytes = GOOD, validation: str | bytes = HELD, test: str | bytes = HELD) -> Path:
    """A folder of triples."""
    for name, text in (("train", train), ("validation", validation), ("test", test)):
        data = text if isinstance(text, bytes) else text.encode()
        (path / f"toy.{name}.csv").write_bytes(data)
    return path


def test_triples(tmp_path: Path) -> None:
    data = load(folder(tmp_path))
    assert (data.name, data.users, data.items) == ("toy", 2, 3)
    assert data.user_ids[data.train.user].tolist() == [1, 1, 2, 2]
    assert data.item_ids[data.train.item].tolist() == [10, 11, 10, 12]
    assert data.train.label.tolist() == [1, 0, 0, 1]
    assert load(tmp_path / "toy.train.csv").fingerprint == data.fingerprint


def test_ids_of_any_kind_are_mapped_and_mapped_back(tmp_path: Path) -> None:
    text = "uid\tiid\tlabel\nann\tx\t1\nann\ty\t0\nbob\tx\t0\n7\tz\t1\n"
    held = "uid\tiid\tlabel\nann\tz\t1\nbob\ty\t0\n"
    data = load(folder(tmp_path, text, held, held))
    assert data.user_ids[data.train.user].tolist() == ["ann", "ann", "bob", "7"]
    assert data.user_index(["bob", "7"]).tolist() == [data.train.user[2], data.train.user[3]]
    with pytest.raises(DataError, match="unknown user `eve`"):
        data.user_index(["eve"])


CHANGES = [
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text.replace(b"\n", b"\r\n"),
    lambda text: text[:-1],
    lambda text: text.replace(b"\n", b"\n\n"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_marks_line_ends_and_blank_lines_change_nothing(tmp_path: Path, change) -> None:
    plain = load(folder(tmp_path)).fingerprint
    assert load(folder(tmp_path, *(change(text.encode()) for text in (GOOD, HELD, HELD)))).fingerprint == plain


BAD = {
    "uid\tlabel\n1\t1\n": "no column `iid`; the columns are `uid`, `label`",
    "uid,iid,label\n1,2,1\n": "no column `uid`; the columns are `uid,iid,label`",
    GOOD.replace("2\t12\t1", "2\t12\tyes"): "train.csv:5: the label `yes` is not a number",
    GOOD.replace("2\t12\t1", "2\t12\tnan"): "train.csv:5: the label `nan` is not a number",
    GOOD.replace("2\t12\t1", "2\t12\tinf"): "train.csv:5: the label `inf` is not a number",
    GOOD.replace("2\t12\t1", "2\t12\t3"): "train.csv:5: the label 3 is neither 0 nor 1",
    GOOD.replace("2\t12\t1", "2\t12"): "train.csv:5: the label is missing; is the file cut off?",
    GOOD.replace("2\t12\t1", "2\t12\t"): "train.csv:5: the label is missing",
    GOOD.replace("2\t12\t1", "\t12\t1"): "train.csv:5: the uid is missing",
    GOOD.replace("2\t12\t1", "2\t12\t1\t9"): "Expected 3 fields in line 5, saw 4",
    GOOD.replace("2\t12\t1", "-2\t12\t1"): "train.csv:5: the uid -2 is negative",
    GOOD + "1\t10\t0\n": "train has user 1 with item 10 twice, in rows 1 and 5",
    "": "the file is empty",
    "\n\n": "the file is empty",
    "uid\tiid\tlabel\n": "no rows",
    "uid\tiid\tlabel\n1\t2\t1\n1\t3\t0\n": "one user only",
    "uid\tiid\tlabel\n1\t2\t1\n2\t3\t1\n": "train has no negative row",
    "uid\tiid\tlabel\n1\t2\t0\n2\t3\t0\n": "train has no positive row",
    b"\xff\xfe\x00\x01": "not a text file in UTF-8",
}


@pytest.mark.parametrize("text", list(BAD))
def test_a_bad_file_is_one_sentence(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(DataError) as caught:
        load(folder(tmp_path, text))
    assert BAD[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_class_in_validation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="validation has no negative row"):
        load(folder(tmp_path, validation="uid\tiid\tlabel\n1\t12\t1\n"))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such data"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no data in a known form"):
        load(tmp_path)
    folder(tmp_path)
    (tmp_path / "toy.test.csv").unlink()
    with pytest.raises(DataError, match="side by side"):
        load(tmp_path)


RATINGS = [(u, i, 5 if (u + i) % 2 else 2, 100 * u + i) for u in range(1, 5) for i in range(1, 9)]


def test_u_data_and_inter_hold_the_same(tmp_path: Path) -> None:
    lines = ["\t".join(map(str, row)) for row in RATINGS]
    (tmp_path / "u.data").write_text("\n".join(lines))
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (tmp_path / "toy.inter").write_text("\n".join([head, *lines]) + "\n")
    one, two = load(tmp_path / "u.data"), load(tmp_path / "toy.inter")
    assert one.fingerprint == two.fingerprint
    assert len(one.train) + len(one.validation) + len(one.test) == len(RATINGS)
    assert one.train.label.tolist()[:2] == [0, 1]  # 2 is no positive, 5 is


def test_an_option_that_is_none() -> None:
    with pytest.raises(TypeError, match="no option `splits`"):
        load("demo", splits="random")
    with pytest.raises(DataError, match="no split is called `half`"):
        load("demo", split="half")


def test_the_demo_is_the_same_every_time_and_another_seed_another() -> None:
    assert load("demo").fingerprint == load("demo").fingerprint != load("demo", seed=1).fingerprint
    data = load("demo")
    assert len(np.unique(data.train.user)) == data.users


def test_movielens_as_the_authors_split_it(shared: Path) -> None:
    data = load(shared / "ml100k01-1-5")
    assert (len(data.train), len(data.validation), len(data.test)) == (94_638, 2_334, 3_028)
    assert (data.users, data.items) == (943, 1_682)
    assert int(data.validation.label.sum()) == int(data.test.label.sum()) == 942
