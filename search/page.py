"""The report of a run: one HTML file that needs nothing else, neither network nor script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lossdsl.search.best import read_best
from lossdsl.search.charts import Point, bars, plane
from lossdsl.search.ledger import Trial, read_trials
from lossdsl.search.settings import Settings
from lossdsl.search.toml import read, text_of

CURVES = 3  # losses whose curves are drawn

STYLE = """
:root{color-scheme:light dark;--ground:#fbfaf7;--ink:#23272e;--quiet:#575d66;--line:#dedbd2;--mark:#1f5fa8;
--warm:#b4500f;--card:#fff}
@media(prefers-color-scheme:dark){:root{--ground:#16191d;--ink:#e8e6e1;--quiet:#a8afb9;--line:#343a42;--mark:#7db4f5;
--warm:#f0a060;--card:#1d2126}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:1.6rem;margin:.2em 0}
h2{font-size:1.15rem;margin:2.2em 0 .6em;border-top:1px solid var(--line);padding-top:1em}
.quiet{color:var(--quiet)}
code,.formula{font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
.word{overflow-wrap:normal}
.formula{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px;margin:.6em 0}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:16px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px}
figcaption{color:var(--quiet);font-size:.9rem;margin-bottom:6px}
svg{width:100%;max-width:760px;height:auto;display:block}
svg text{font:14px system-ui,sans-serif;fill:var(--quiet)}
.pair svg text{font-size:18px}
@media(max-width:600px){svg text,.pair svg text{font-size:23px}.up{display:none}th,td{padding:6px 5px}}
.grid{stroke:var(--line);stroke-width:1}
.dot{fill:var(--mark);opacity:.35}
.other{fill:var(--warm);opacity:.4}
.spot{fill:var(--mark)}
.bar{fill:var(--mark)}
.best{fill:none;stroke:var(--warm);stroke-width:2}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.93rem}
th,td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--line);vertical-align:top}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
td.number{white-space:nowrap}
img{width:100%;height:auto;display:block}
"""


def report(run_dir: Path | str) -> str:
    """The report of a run directory as HTML text."""
    run_dir = Path(run_dir)
    trials = list(read_trials(run_dir))
    path = run_dir / "config.toml"
    config = text_of(path) if path.is_file() else ""
    settings = read(config, Settings(), str(path))
    best = read_best(run_dir)
    about_best = [_result(best, _unended(settings, trials)), _proof(best)]
    pictures = [_course(trials), _front(best, trials), _curves(best, settings), _fates(trials)]
    rest = [_top(trials, settings), _protocol(config, settings, trials)]
    return page(f"Search on {settings.data} with {settings.model}", "".join([*about_best, *pictures, *rest]))


POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(title: str, body: str) -> str:
    """A whole page around a body."""
    name = escape(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        # Whatever a run directory of somebody else holds, nothing of it is to run.
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}</title><style>{STYLE}</style></head><body><main><h1>{name}</h1>{body}</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table whose cells are HTML already; the columns in `numbers` are set to the right."""

    def cell(tag: str, k: int, text: str) -> str:
        kind = ' class="number"' if k in numbers else ""
        return f"<{tag}{kind}>{text}</{tag}>"

    top = "".join(cell("th", k, text) for k, text in enumerate(head))
    body = "".join("<tr>" + "".join(cell("td", k, text) for k, text in enumerate(row)) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(caption: str, content: str) -> str:
    """A picture with its caption."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{content}</figure>"


def _unended(settings: Settings, trials: Sequence[Trial]) -> bool:
    """Whether a search without a result cannot have come to its end: all that the practical one trains is proved."""
    return not settings.preset and any(trial.fate == "trained" for trial in trials)


def _result(best: dict[str, Any] | None, unended: bool) -> str:
    if best is None and unended:
        return (
            '<p class="quiet">This search has not come to its end: no loss is chosen and tested yet. '
            "<code>lossdsl search --resume</code> goes on with it.</p>"
        )
    if best is None:
        return '<p class="quiet">No loss was proved valid in this run.</p>'
    formula = f'<p class="formula">{escape(best["formula"])}</p>'
    words = f"<p>{escape(best['verdict'])}, {best['nodes']} nodes, found as trial {best['number']}. "
    words += (
        "The search started from known losses.</p>" if best["seeded"] else "No known loss was in its beginning.</p>"
    )
    test = best.get("test")
    if not test:
        return formula + words
    gain, name = test["difference"], escape(test["baseline"])
    rows = [
        [who, f"{row['mean']:.4f}", f"{min(row['values']):.4f} to {max(row['values']):.4f}", f"{row['l2']:.3g}"]
        for who, row in (("found", test["best"]), (name, test["bce"]))
    ]
    head = ["loss", f"test {escape(test['metric'])}", f"over {test['seeds']} seeds", "L2 chosen"]
    sentence = (
        f"<p>Difference {gain['mean']:+.4f}, 95 % interval {gain['low']:+.4f} to {gain['high']:+.4f}, "
        "by drawing users and seeds again. Both losses took the L2 that was best on validation, of the same "
        "values and of further ones where it was the least or the largest; the test rows had no part in that choice, "
        "nor in the search.</p>"
    )
    return formula + words + table(head, rows, (1, 2, 3)) + sentence


def _proof(best: dict[str, Any] | None) -> str:
    if best is None or not best.get("report"):
        return ""
    rows = []
    for name, finding in best["report"]["properties"].items():
        witness = finding.get("witness")
        place = ", ".join(f"{key} = {value}" for key, value in witness["at"].items()) if witness else ""
        detail = finding.get("detail") or ""
        if witness:
            detail = f"{witness.get('why', '')} at {place}. {detail}"
        rows.append(
            [
                f'<code class="word">{escape(name).replace("_", "_<wbr>")}</code>',
                escape(finding["status"]),
                escape(detail),
            ]
        )
    return "<h2>What is proved of it</h2>" + table(["property", "status", "in words"], rows)


def _course(trials: Sequence[Trial]) -> str:
    trained = [t for t in trials if t.fate == "trained" and t.reward is not None]
    if not trained:
        return ""
    rewards = sorted(t.reward for t in trained if t.reward is not None)
    floor = rewards[len(rewards) // 10]  # the worst tenth would press the rest to the upper edge
    points, steps, top = [], [], float("-inf")
    for t in trained:
        assert t.reward is not None
        if t.reward >= floor:
            kind = "dot" if t.source in ("controller", "random", "evolution") else "other"
            points.append(Point(t.number, t.reward, kind, f"{t.number} {t.source} {t.reward:.4f} {t.formula[:80]}"))
        if t.reward > top:
            top = t.reward
            steps.append((float(t.number), top))
    steps = [step for step in steps if step[1] >= floor]
    steps.append((float(trials[-1].number), top))
    caption = "reward of each trained loss and the best so far (the lowest tenth is left out); orange: small changes"
    return "<h2>How the search went</h2>" + figure(caption, plane(points, steps, "trial", "reward"))


def _front(best: dict[str, Any] | None, trials: Sequence[Trial]) -> str:
    rows = (best or {}).get("front") or []
    if not rows:
        return ""
    points = [Point(r["nodes"], r["final"], "spot", r["formula"][:120]) for r in rows]
    steps = [(float(r["nodes"]), float(r["final"])) for r in rows]
    body = [[str(r["nodes"]), f"{r['final']:.4f}", f"<code>{escape(r['formula'])}</code>"] for r in rows]
    picture = figure("reward over all folds and seeds against size", plane(points, steps, "nodes", "reward"))
    return "<h2>Reward against size</h2>" + picture + table(["nodes", "reward", "formula"], body, (0, 1))


def _curves(best: dict[str, Any] | None, settings: Settings) -> str:
    if best is None:
        return ""
    from lossdsl.curves import trace
    from lossdsl.web.picture import panel

    pairs = settings.model == "ranknet"
    beside = best["test"]["bce"]["formula"] if best.get("test") else "bpr" if pairs else "bce"
    name = best["test"]["baseline"] if best.get("test") else beside
    parts = []
    for who, formula in _shown(best):
        curves = trace(formula, beside, axis="score", pairwise=pairs, titles=["found", name], reach=5.0)
        both = "".join(
            figure(f"{what}, solid: {who}, dotted: {name}", _image(panel(curves, what))) for what in ("value", "slope")
        )
        parts.append(f'<p class="formula">{escape(formula)}</p><div class="pair">{both}</div>')
    title = "Its curves" if len(parts) == 1 else "Curves of the best"
    return f"<h2>{title} beside {escape(name)}</h2>{''.join(parts)}"


def _shown(best: dict[str, Any]) -> list[tuple[str, str]]:
    """The losses whose curves are drawn, with a word on each: the result, and the best others of the front."""
    front = sorted(best.get("front") or [], key=lambda row: (-row["final"], row["nodes"]))
    others = [row for row in front if row["formula"] != best["formula"]]
    return [
        ("the best", best["formula"]),
        *((f"trial {row['number']}", row["formula"]) for row in others[: CURVES - 1]),
    ]


def _image(svg: str) -> str:
    """An SVG with a style of its own, kept apart from the page's."""
    from base64 import b64encode

    return f'<img alt="curves" src="data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}">'


def _fates(trials: Sequence[Trial]) -> str:
    fates = Counter(t.fate for t in trials)
    reasons = Counter(_short(t.why) for t in trials if t.fate == "filtered" and t.why)
    sources = Counter(t.source for t in trials if t.fate == "trained")
    parts = [
        figure(
            "what became of the proposals",
            bars([(f, fates[f]) for f in ("trained", "duplicate", "filtered", "failed")]),
        ),
        figure("why proposals were filtered", bars(reasons.most_common(6))),
        figure("where the trained ones came from", bars(sources.most_common())),
    ]
    return f'<h2>Fates</h2><div class="pair">{"".join(parts)}</div>'


def _short(why: str | None) -> str:
    return (why or "").split(" at ")[0].split(", more")[0][:40]


def _top(trials: Sequence[Trial], settings: Settings) -> str:
    ranked = sorted((t for t in trials if t.fate == "trained" and t.reward is not None), key=lambda t: -(t.reward or 0))
    rows = [
        [str(t.number), f"{t.reward:.4f}", escape(t.source), f"<code>{escape(t.formula)}</code>"] for t in ranked[:20]
    ]
    words = (
        "<p class='quiet'>Rewards of one seed: the best of many are lucky, which is why the best are ranked again.</p>"
    )
    return "<h2>The highest rewards</h2>" + words + table(["trial", "reward", "from", "formula"], rows, (0, 1))


def _protocol(config: str, settings: Settings, trials: Sequence[Trial]) -> str:
    seconds = trials[-1].at if trials else 0.0
    rows = sum(t.rows for t in trials)
    words = (
        f"<p>{len(trials)} trials in {seconds:.0f} s, {rows:,} rows trained; seed {settings.seed}. "
        "Rewards are measured on validation rows and folds of train; test rows never reach the search.</p>"
    )
    return f"<h2>Protocol</h2>{words}<details><summary>config.toml</summary><pre>{escape(config)}</pre></details>"
