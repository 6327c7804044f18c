"""What is in the clone is in the wheel: an unlisted package works when editable and is missing when installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"grammar": "lossdsl/grammar", "lossdsl": "lossdsl", "recsys": "lossdsl/recsys", "search": "lossdsl/search"}


@pytest.mark.skipif(not (ROOT / "grammar").is_dir(), reason="an installed wheel is tested, away from its sources")
def test_wheel_holds_every_source(tmp_path: Path) -> None:
    clone = tmp_path / "clone"  # a copy: a stale build/ would revive deleted files
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode == 0 and tracked.stdout:
        files = [f for f in tracked.stdout.splitlines() if (ROOT / f).is_file()]
    else:  # an unpacked sdist
        files = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file() and ".venv" not in p.parts]
    for file in files:
        (clone / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, clone / file)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(clone)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in n}
    wanted = set()
    for file in files:
        top, _, rest = file.partition("/")
        if top in FOLDERS and Path(file).suffix in {".py", ".lark", ".loss", ".typed", ".html"}:
            wanted.add(f"{FOLDERS[top]}/{rest}")
    assert packed == wanted
