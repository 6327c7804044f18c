"""How long `check` takes to decide, and how much it leaves undecided: the search log, the named losses, random text.

Times are milliseconds of processor time for all properties but float_safe, one process, the second of two runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from run import Figure, data_folder

from lossdsl.checking import check
from lossdsl.equivalence import slope_key
from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.grammar.losses import loss_names
from lossdsl.report import PROPERTIES, UNDECIDED, VERDICT, Report

DECIDED = tuple(name for name in PROPERTIES if name != "float_safe")
MOOT = "the loss is not defined everywhere"


def corpora() -> Iterator[tuple[str, list[Formula]]]:
    """The sets of formulas, by name."""
    yield "named", [parse(name) for name in loss_names()]
    data = data_folder()
    if data is None:
        print("no data folder: the search log and the random formulas are left out (set LOSSDSL_DATA)")
        return
    log = (data / "formulas" / "autolossgen-log.txt").read_text().splitlines()
    yield "log-as-printed", [parse(line, "autolossgen-plain") for line in log if line.strip()]
    yield "log-as-trained", [parse(line, "autolossgen") for line in log if line.strip()]
    rows = (data / "formulas" / "random-2000.txt").read_text().splitlines()
    yield "random", list(readable(rows))


def readable(rows: list[str]) -> Iterator[Formula]:
    for row in rows:
        try:
            yield parse(row, "lossdsl")
        except LossError:
            continue


def timed(formula: Formula) -> tuple[float, Report]:
    begin = time.process_time()
    report = check(formula, properties=DECIDED, timeout=None)
    return 1e3 * (time.process_time() - begin), report


def slope_by_sympy(formula: Formula) -> float:
    """Milliseconds for SymPy's own derivative, nothing simplified, the formula built anew."""
    import sympy

    begin = time.process_time()
    fresh = Formula(formula.tree, formula.source)
    expr = fresh.expr
    for symbol in sorted(expr.free_symbols, key=str):
        if str(symbol) in ("pred", "score"):
            sympy.diff(expr, symbol)
    return 1e3 * (time.process_time() - begin)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def open_share(reports: list[Report], names: tuple[str, ...]) -> float:
    """Percent of findings left undecided, those aside that a loss which is not defined everywhere makes moot."""
    findings = [f for r in reports for n, f in r.properties.items() if n in names and f.detail != MOOT]
    return 100 * sum(f.status == UNDECIDED for f in findings) / max(1, len(findings))


def run() -> list[Figure]:
    check("bce")
    figures: list[Figure] = []
    print(f"{'set':<16}{'count':>6}{'median':>9}{'p90':>9}{'p99':>9}{'max':>9}   undecided: verdict's, any; unknown")
    for name, formulas in corpora():
        for formula in formulas[:20]:
            check(formula, properties=DECIDED, timeout=None)
        rows = [timed(f) for f in formulas]
        times, reports = [t for t, _ in rows], [r for _, r in rows]
        verdicts, anything = open_share(reports, VERDICT), open_share(reports, DECIDED)
        unknown = 100 * sum(r.verdict == "unknown" for r in reports) / len(reports)
        line = "".join(
            f"{v:9.2f}" for v in (quantile(times, 0.5), quantile(times, 0.9), quantile(times, 0.99), max(times))
        )
        print(f"{name:<16}{len(formulas):>6}{line}   {verdicts:.2f} %, {anything:.2f} %; {unknown:.2f} %")
        figures += [
            Figure(f"check-{name}-median", quantile(times, 0.5), "ms"),
            Figure(f"check-{name}-p99", quantile(times, 0.99), "ms"),
            Figure(f"check-{name}-undecided-verdict", verdicts, "percent"),
            Figure(f"check-{name}-undecided-any", anything, "percent"),
            Figure(f"check-{name}-unknown", unknown, "percent"),
        ]
        some = formulas[:: max(1, len(formulas) // 40)]
        sympy_times = [slope_by_sympy(f) for f in some]
        ours = [timed(f)[0] for f in some]
        ratio = quantile(ours, 0.5) / quantile(sympy_times, 0.5)
        figures.append(Figure(f"check-{name}-relative", ratio, "ratio", "SymPy's derivative alone, median"))
        begin = time.process_time()
        for f in some:
            slope_key(f)
        keyed = len(some) / (time.process_time() - begin)
        figures.append(Figure(f"check-{name}-keys", keyed, "formulas-per-second"))
    return figures
