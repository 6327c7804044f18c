"""Fuzzing that follows coverage: texts that reach new branches of the readers are kept and changed further.

    python benchmarks/fuzz.py --guided [COUNT] [--seconds S] [--corpus FOLDER]

Needs the `fuzz` extra (atheris, libFuzzer for Python, on Linux). The fuzzer never returns from a run, so it runs in a
process of its own, which begins in `main` below; `guide` starts it and reads what it reports.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

DIALECTS = ("auto", "lossdsl", "python", "latex", "autolossgen", "autolossgen-plain")
SEEDS = 400
LONGEST = 300  # bytes: the limits on longer texts are what the blind fuzzer is for
WORDS = (
    "pred label score where if in log log1p exp expm1 sqrt square abs sign sigmoid logsigmoid tanh relu softplus min "
    "max clamp plog pinv psqrt torch. np. tf. F. .mean() .log() \\\\log \\\\frac{ \\\\hat{y} \\\\sigma( \\\\left( "
    "\\\\right) \\\\begin{cases} \\\\end{cases} \\\\text{ ^{ _{ Log gamma alpha 1e-6 0.5 ** // <= >= == -> ? lambda "
    "not and or else"
).split()


def guide(count: int, seconds: float, seed: int, corpus: Path | None) -> int:
    """Run the fuzzer in a process of its own; 1 where it found something, 2 where it is not installed."""
    from lossdsl.testing import texts

    with tempfile.TemporaryDirectory() as place:
        folder = corpus or Path(place) / "corpus"
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            for number, text in enumerate(islice(texts(seed), SEEDS)):
                data = bytes([number % len(DIALECTS)]) + text.encode("utf-8", "replace")
                (folder / f"seed-{number}").write_bytes(data[:LONGEST])
        words = Path(place) / "words"
        words.write_text("".join(f'"{word}"\n' for word in WORDS), encoding="ascii")
        limits = [f"-runs={count}", f"-max_total_time={int(seconds)}" if seconds < float("inf") else ""]
        switches = [f"-seed={seed + 1}", f"-max_len={LONGEST}", f"-dict={words}", "-timeout=20", "-print_final_stats=1"]
        command = [sys.executable, str(Path(__file__).resolve()), *filter(None, limits), *switches]
        done = subprocess.run([*command, f"-artifact_prefix={place}/", str(folder)], stderr=subprocess.PIPE, text=True)
        if "needs atheris" in done.stderr:
            print(done.stderr.strip(), file=sys.stderr)
            return 2
        found = dict(re.findall(r"^stat::(\w+):\s*(\d+)", done.stderr, re.MULTILINE))
        edges = re.findall(r"\bcov: (\d+) ft: (\d+)", done.stderr) or [("0", "0")]
        print(f"fuzz_guided {found.get('number_of_executed_units', 0)} texts")
        print(f"fuzz_guided_speed {found.get('average_exec_per_sec', 0)} texts-per-second")
        print(f"fuzz_guided_branches {edges[-1][0]} branches, {edges[0][0]} by the first texts")
        print(f"fuzz_guided_corpus {len(list(folder.iterdir()))} texts")
        if done.returncode:
            print(done.stderr[-4000:])
            for artifact in sorted(Path(place).glob("*-*")):
                print(f"{artifact.name}: {artifact.read_bytes()!r}")
        return 1 if done.returncode else 0


def main() -> None:
    """What the fuzzer's own process does; it does not return."""
    try:
        import atheris
    except ModuleNotFoundError:
        sys.exit("--guided needs atheris: pip install 'lossdsl[fuzz]'")
    with atheris.instrument_imports(include=["lossdsl.grammar", "lossdsl.formula", "lossdsl.errors"]):
        from fuzz import SLOW, attempt

        from lossdsl.formula import parse
        from lossdsl.grammar import dialects, parser, printer  # noqa: F401

        for dialect in DIALECTS:  # each reader is imported late; here is where it must be, to be followed
            parse("-y*log(p)" if dialect == "python" else "1", dialect)

    def one(data: bytes) -> None:
        dialect = DIALECTS[data[0] % len(DIALECTS)] if data else "auto"
        _, failure, seconds = attempt(data[1:].decode("utf-8", "replace"), (dialect,))
        if failure:
            raise RuntimeError(failure)
        if seconds > SLOW:
            raise RuntimeError(f"{dialect}: {seconds:.2f} s for {data[1:]!r}")

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
