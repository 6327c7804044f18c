"""Documents with queries: read, folded, ranked; and refused where they make no sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import DataError
from lossdsl.recsys.settings import Settings, SettingsError
from lossdsl.recsys.trainer import Trainer
from lossdsl.recsys.training import train


def lines(queries: range, seed: int, width: int = 4) -> str:
    """Documents whose grade follows their first feature."""
    random = np.random.default_rng(seed)
    out = []
    for query in queries:
        for _ in range(6):
            x = random.random(width)
            grade = int(x[0] * 3)
            out.append(f"{grade} qid:{query} " + " ".join(f"{k + 1}:{v:.4f}" for k, v in enumerate(x)) + " #docid = D")
    return "\n".join(out) + "\n"


def five_parts(folder: Path) -> Path:
    for k in range(1, 6):
        (folder / f"S{k}.txt").write_text(lines(range(10 * k, 10 * k + 6), k))
    return folder


def test_folds_rotate(tmp_path: Path) -> None:
    five_parts(tmp_path)
    for fold in range(1, 6):
        data = load(tmp_path, fold=fold)
        tens = [
            sorted({int(q) // 10 for q in data.user_ids[data.split(s).user]}) for s in ("train", "validation", "test")
        ]
        turned = [(k + fold - 2) % 5 + 1 for k in range(1, 6)]
        assert tens == [sorted(turned[:3]), turned[3:4], turned[4:]]
    with pytest.raises(DataError, match="folds are 1 to 5, not 6"):
        load(tmp_path, fold=6)


def test_features_and_grades_are_those_of_the_file(tmp_path: Path) -> None:
    data = load(five_parts(tmp_path))
    first = (tmp_path / "S1.txt").read_text().splitlines()[0].split()
    assert data.train.label[0] == float(first[0])
    np.testing.assert_allclose(data.item_features[data.train.item[0]], [float(w.split(":")[1]) for w in first[2:6]])
    assert data.documents and data.items == 5 * 36


def test_ranknet_learns_to_rank_documents(tmp_path: Path) -> None:
    data = load(five_parts(tmp_path))
    trainer = Trainer("bce", data, Settings(model="ranknet", layers=(8,), dropout=0.0, lr=0.02))
    assert trainer.settings.metric == "ndcg@10"
    for _ in range(15):
        trainer.epoch()
    assert trainer.evaluate("test") > 0.95


@pytest.mark.parametrize("model, pairs", [("biasedmf", True), ("deepmodel", False)])
def test_documents_are_ranked_by_pairs_and_features(tmp_path: Path, model: str, pairs: bool) -> None:
    with pytest.raises(SettingsError, match="documents have grades and features"):
        Trainer("bce", load(five_parts(tmp_path)), Settings(model=model, pairs=pairs))


def test_documents_are_measured_by_their_grades(tmp_path: Path) -> None:
    data = load(five_parts(tmp_path))
    result = train("bpr", data, "ranknet", layers=(4,), epochs=2)
    assert result.settings.metric == "ndcg@10" and next(iter(result.metrics)) == "ndcg@10"
    assert train("bpr", data, "ranknet", layers=(4,), epochs=1, metric="map").settings.metric == "map"


def test_documents_have_no_sampled_negatives(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="leave out the implicit task"):
        Trainer("bce", load(five_parts(tmp_path)), Settings(model="ranknet", task="implicit"))


def test_train_vali_test_is_the_other_form(tmp_path: Path) -> None:
    for k, name in enumerate(("train", "vali", "test")):
        (tmp_path / f"{name}.txt").write_text(lines(range(10 * k, 10 * k + 5), k))
    assert load(tmp_path).users == 15
    (tmp_path / "vali.txt").write_text(lines(range(0, 3), 1))
    with pytest.raises(DataError, match="query 0 is in train and in validation"):
        load(tmp_path)


BAD = {
    "": "the file is empty",
    "1 2:0.5\n": "not every line names its query",
    "hello world\n": "not a file of documents",
    "1 qid:3 1:nan\n": "no finite number",
    "-1 qid:3 1:0.5\n1 qid:4 1:0.1\n": "grades begin at 0",
}


@pytest.mark.parametrize("text", list(BAD))
def test_bad_documents_are_one_sentence(tmp_path: Path, text: str) -> None:
    five_parts(tmp_path)
    (tmp_path / "S2.txt").write_text(text)
    with pytest.raises(DataError, match=BAD[text]):
        load(tmp_path)


def test_mq2008(shared: Path) -> None:
    data = load(shared / "mq2008", fold=2)
    assert data.name == "mq2008-fold2" and data.items == 15_211 and data.item_features.shape[1] == 46
    assert sorted(np.unique(data.train.label).tolist()) == [0, 1, 2]
