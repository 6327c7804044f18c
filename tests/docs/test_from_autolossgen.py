"""Each counterpart that the page names exists, and the three phases run on a small file."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from lossdsl.cli.main import COMMANDS, cli
from lossdsl.search.presets import preset
from lossdsl.search.settings import Settings

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "from-autolossgen.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(--\w+)` \| (.+?) \|", PAGE, re.MULTILINE)
# The arguments that the program's files declare, from main.py to LossFormula.
THEIRS = """
gpu verbose log_file result_file random_seed model_name model_path controller_model_path shared_cnn_model_path
formula_path u_vector_size i_vector_size child_num_layers child_num_branches child_out_filters
sample_branch_id sample_skip_id search_loss train_with_optim child_grad_bound smooth_coef layers loss_func
path dataset sep label test_neg_n load epoch check_epoch early_stop lr batch_size eval_batch_size dropout l2
optimizer metric skip_eval skip_rate rej_rate skip_lim rej_lim lower_bound_zero_gradient search_train_epoch
step_train_epoch search_for controller_lstm_size controller_lstm_num_layers controller_tanh_constant
controller_skip_target controller_skip_weight controller_lr controller_entropy_weight controller_bl_dec
controller_num_aggregate controller_train_steps controller_l2 child_keep_prob child_lr_max child_lr_min
child_lr_T child_l2_reg epsilon
""".split()


def test_every_flag_has_a_row() -> None:
    assert [flag for flag, _ in ROWS] == [f"--{name}" for name in THEIRS]


@pytest.mark.parametrize(("flag", "here"), ROWS)
def test_the_counterpart_exists(flag: str, here: str) -> None:
    if here == "-":
        return
    name = here.strip("`")
    if " --" in name:
        command, option = name.split(" ")
        declared: click.Command = import_module(COMMANDS[command][0]).command
        assert option in {o for p in declared.params if isinstance(p, click.Option) for o in p.opts}
    else:
        table, key = name.split(".")
        assert hasattr(getattr(Settings(), table), key)


def test_settings_in_the_remarks_exist() -> None:
    for table, key in re.findall(r"`(controller|original|space|training)\.(\w+)`", PAGE):
        assert hasattr(getattr(preset("autolossgen"), table), key)


def test_every_file_has_a_row_and_its_commands_exist() -> None:
    table = PAGE.split("## Files")[1]
    for file in ("main.py --search_loss", "run_ranknet.py", "utils/reorg_log.py", "utils/loss_valid_check.py"):
        assert re.search(rf"^\| `{re.escape(file)}`", table, re.MULTILINE), file
    commands = re.findall(r"`lossdsl ([\w-]+)([^`]*)`", PAGE)
    assert {name for name, _ in commands} >= {"search", "train", "report"}
    blocks = [
        line.removeprefix("$ lossdsl ").split(" ", 1) for line in PAGE.splitlines() if line.startswith("$ lossdsl ")
    ]
    for name, rest in [*commands, *blocks]:
        declared: click.Command = import_module(COMMANDS[name][0]).command
        known = {o for p in declared.params if isinstance(p, click.Option) for o in p.opts}
        assert set(re.findall(r"(?<!\S)--[\w-]+", rest)) <= known, (name, rest)


def small_data(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    pairs = [(u, i) for u in range(1, 31) for i in range(1, 41)]
    rng.shuffle(pairs)
    for name, part in (("train", pairs[:900]), ("validation", pairs[900:1050]), ("test", pairs[1050:])):
        rows = [f"{u}\t{i}\t{int((u * i) % 3 == 0)}\n" for u, i in part]
        (folder / f"small.{name}.csv").write_text("uid\tiid\tlabel\n" + "".join(rows))
    return folder


def test_the_three_phases(tmp_path: Path) -> None:
    data, run = small_data(tmp_path / "small"), tmp_path / "run"
    runner = CliRunner()
    options = [
        "--preset",
        "autolossgen",
        "--model",
        "biasedmf",
        "--seed",
        "42",
        "--budget",
        "110trials",
        "--workers",
        "1",
    ]
    found = runner.invoke(cli, ["search", "--data", str(data), *options, "--run-dir", str(run)], standalone_mode=False)
    assert found.exception is None and "110 trials" in found.output, found.output
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    formulas = sorted({trial["formula"] for trial in trials if trial["source"] in ("step", "sample")})
    (tmp_path / "formulas.txt").write_text("\n".join(formulas) + "\n")
    judged = runner.invoke(
        cli, ["check", "-f", str(tmp_path / "formulas.txt"), "--format", "jsonl"], standalone_mode=False
    )
    lines = [json.loads(line) for line in judged.stdout.splitlines()]
    assert len(lines) == len(formulas) and all(line["verdict"] in ("valid", "invalid", "unknown") for line in lines)
    log, sheet = tmp_path / "log_0.txt", tmp_path / "log_0.csv"
    log.write_text("INFO:root:(label + - (pred)) ^ 2\n"
                   "INFO:root:Epoch     1 [2.3 s]\t train= 0.45 validation= 0.5 test= 0.44 [0.1 s] auc\n")  # fmt: skip
    old = ["report", "--from-log", str(log), "-o", str(tmp_path / "log.html"), "--csv", str(sheet)]
    assert runner.invoke(cli, old, standalone_mode=False).exception is None
    assert sheet.read_text().splitlines()[1].startswith("1,0.45,0.5,0.44,2000,valid,invalid,")
    trained = runner.invoke(
        cli,
        ["train", "--preset", "autolossgen", "--loss", "maxr", "--data", str(data), "--epochs", "3", "--json"],
        standalone_mode=False,
    )
    assert trained.exception is None, trained.output
    assert 0 < json.loads(trained.stdout)["metrics"]["auc"]["mean"] < 1
