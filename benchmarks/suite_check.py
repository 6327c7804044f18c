"""How long `check` takes to decide, and how much it leaves undecided: the search log, the named losses, random text.

Times are milliseconds of processor time for all properties but float_safe, one process, warm. What a
report works out only when it is read, its hash and the size of the steepest slope in words, is not in them.
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
from lossdsl.report import PROPERTIES, UNDECIDED, VERDICT

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


Answers = dict[str, tuple[str, bool]]
"""By property the status, and whether an undefined loss makes it moot."""


def timed(formula: Formula) -> tuple[float, str, Answers]:
    """Milliseconds, the verdict, and the answers; the report itself is let go, as a search would."""
    begin = time.process_time()
    report = check(formula, properties=DECIDED, timeout=None)
    spent = 1e3 * (time.process_time() - begin)
    found = report.properties.items()
    return spent, report.verdict, {n: (f.status, f.status == UNDECIDED and f.detail == MOOT) for n, f in found}


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


def keys_a_second(formulas: list[Formula]) -> float:
    """How many slope keys are made in a second, over the whole set and as often as it takes to see it."""
    slope_key(formulas[0])  # what is loaded when the first one is asked for is no part of a key
    made, spent = 0, 0.0
    while made < len(formulas) or spent < 0.2:
        begin = time.process_time()
        for formula in formulas:
            slope_key(formula)
        spent += time.process_time() - begin
        made += len(formulas)
    return made / spent


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def open_share(reports: list[Answers], names: tuple[str, ...]) -> float:
    """Percent of findings left undecided, those aside that a loss which is not defined everywhere makes moot."""
    found = [status for answers in reports for name, (status, moot) in answers.items() if name in names and not moot]
    return 100 * sum(status == UNDECIDED for status in found) / max(1, len(found))


def run() -> list[Figure]:
    check("bce")
    figures: list[Figure] = []
    print(f"{'set':<16}{'count':>6}{'median':>9}{'p90':>9}{'p99':>9}{'max':>9}   undecided: verdict's, any; unknown")
    for name, formulas in corpora():
        for formula in formulas[:20]:
            check(formula, properties=DECIDED, timeout=None)
        rows = [timed(f) for f in formulas]
        times, reports = [t for t, _, _ in rows], [answers for _, _, answers in rows]
        verdicts, anything = open_share(reports, VERDICT), open_share(reports, DECIDED)
        unknown = 100 * sum(verdict == "unknown" for _, verdict, _ in rows) / len(rows)
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
        figures.append(Figure(f"check-{name}-keys", keys_a_second(formulas), "formulas-per-second"))
    return figures
