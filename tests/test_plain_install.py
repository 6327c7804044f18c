"""What a plain installation does: the light commands work, the others name their extra, in one sentence and exit 2."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Without the packages of the extras: an import of one of them fails as it would where it is not installed.
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from lossdsl.cli.main import main
main({arguments!r})
"""
EXTRAS = {"torch", "numba", "llvmlite", "pandas", "sklearn", "matplotlib", "starlette", "uvicorn", "hypothesis",
          "distributed", "dask", "tensorboard"}  # fmt: skip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(absent=EXTRAS, arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")


@pytest.mark.parametrize(
    "arguments, code",
    [
        (("check", "bce"), 0),
        (("check", "pred*label", "--format", "sarif"), 1),
        (("explain", "LD105"), 0),
        (("show", "focal"), 0),
        (("equiv", "bce", "mse"), 1),
        (("compile", "bce", "--to", "c"), 0),
    ],
)
def test_light_commands_need_no_extra(arguments: tuple[str, ...], code: int) -> None:
    done = run(*arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


@pytest.mark.parametrize(
    "arguments, extra",
    [
        (("train", "--loss", "bce", "--data", "demo"), "train"),
        (("search", "--data", "demo", "--budget", "1trials"), "train"),
        (("compile", "bce", "--to", "torchscript", "-o", "bce.pt"), "train"),
        (("show", "bce", "--plot", "bce.svg"), "plot"),
        (("serve",), "web"),
    ],
)
def test_the_others_name_their_extra(arguments: tuple[str, ...], extra: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert f"pip install 'lossdsl[{extra}]'" in done.stderr
    assert "internal error" not in done.stderr
