"""How findings are printed: for people, for editors, for scripts, for code scanners."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Protocol

import click

from lossdsl import __version__
from lossdsl.report import Report

MARKS = {"proved": "✓", "refuted": "✗", "undecided": "?"}
PLAIN_MARKS = {"proved": "+", "refuted": "x", "undecided": "?"}
COLOURS = {"valid": "green", "invalid": "red", "unknown": "yellow", "error": "red"}
SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


class Entry(Protocol):
    """A formula and where it stands."""

    @property
    def text(self) -> str: ...
    @property
    def path(self) -> str | None: ...
    @property
    def line(self) -> int | None: ...


def paint(text: str, **style: Any) -> str:
    """Colour, unless the output is no terminal or the user set NO_COLOR (https://no-color.org)."""
    return text if os.environ.get("NO_COLOR") or not sys.stdout.isatty() else click.style(text, **style)


def findings(report: Report) -> list[dict[str, Any]]:
    """What stands against a formula, as plain rows: an unreadable formula, or what was refuted or left undecided."""
    data = report.to_dict(full=False)
    if data["error"]:
        return [{**data["error"], "severity": "error", "name": "syntax", "status": "refuted"}]
    rows = []
    for name, finding in data["properties"].items():
        if finding["status"] == "refuted" or (finding["status"] == "undecided" and finding["severity"] == "error"):
            detail = finding["detail"] or finding["status"]
            rows.append({**finding, "name": name, "message": f"{name} {finding['status']}: {detail}"})
    return rows


class Printer:
    """Takes reports one by one; `text`, `concise`, `jsonl` and `github` print at once, the others at the end."""

    def __init__(self, layout: str) -> None:
        self.layout = layout
        self.count = 0
        self.pending: list[tuple[Entry, Report]] = []
        encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
        self.marks = MARKS if "utf" in encoding else PLAIN_MARKS

    def add(self, entry: Entry, report: Report) -> None:
        """Take one report."""
        self.count += 1
        if self.layout == "text":
            self._text(entry, report)
        elif self.layout == "concise":
            self._concise(entry, report)
        elif self.layout == "jsonl":
            click.echo(json.dumps(report.to_dict(), ensure_ascii=False))
        elif self.layout == "github":
            self._github(entry, report)
        else:
            self.pending.append((entry, report))

    def close(self) -> None:
        """Print what has to wait for the last report."""
        if self.layout == "json":
            rows = [report.to_dict() for _, report in self.pending]
            click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        elif self.layout == "sarif":
            click.echo(json.dumps(sarif(self.pending), indent=2, ensure_ascii=False))

    def _text(self, entry: Entry, report: Report) -> None:
        data = report.to_dict(full=False)
        place = f"{entry.path}:{entry.line}: " if entry.path else ""
        verdict = paint(data["verdict"], fg=COLOURS[data["verdict"]], bold=True)
        if data["error"]:
            click.echo(f"{place}{verdict}\n{_shift(str(report.error), entry)}\n")
            return
        read_as = "" if data["dialect"] == "lossdsl" else f" (read as {data['dialect']})"
        click.echo(f"{place}{data['formula']}{read_as}\n  {verdict}")
        width = max(len(name) for name in data["properties"]) if data["properties"] else 0
        shared = _shared_reason(data["properties"])
        for name, finding in data["properties"].items():
            if shared and finding["status"] == "undecided" and finding["detail"] == shared:
                continue
            mark = paint(self.marks[finding["status"]], fg=_colour(finding))
            words = []
            if finding["status"] == "refuted":
                words.append(finding["code"])
            if finding["detail"]:
                words.append(finding["detail"])
            if finding["strict"] and finding["status"] == "proved":
                words.append("(strictly)")
            click.echo(f"  {mark} {name:<{width}}  {' '.join(words)}".rstrip())
            witness = finding["witness"]
            if witness and finding["status"] == "refuted" and finding["severity"] != "note":
                at = ", ".join(f"{k} = {v}" for k, v in witness["at"].items())
                click.echo(f"    {'':<{width}}  witness: {at}: {witness['why']}")
            if finding.get("mend") and finding["status"] == "refuted":
                click.echo(f"    {'':<{width}}  hint: {finding['mend']}")
        if shared:
            click.echo(f"  {paint(self.marks['undecided'], fg='yellow')} {'the others':<{width}}  {shared}")
        if data["kinks"]:
            corners = "; ".join(", ".join(f"{k} = {_exact(v)}" for k, v in kink.items()) for kink in data["kinks"])
            click.echo(f"  kinks: {corners}")
        for note in report.notes:
            click.echo(f"  note: {note}")
        click.echo("")

    def _concise(self, entry: Entry, report: Report) -> None:
        line, column = entry.line or 1, 1
        if report.error is not None:
            # What stands in an argument may have several lines; a file has one formula a line.
            line, column = entry.line or report.error.line, report.error.column
        place = f"{entry.path or '<argument>'}:{line}:{column}"
        rows = findings(report)
        for row in rows:
            click.echo(f"{place}: {row['severity']} {row['code']} {row['message']}")
        if not rows:
            click.echo(f"{place}: {report.verdict}")

    def _github(self, entry: Entry, report: Report) -> None:
        kinds = {"error": "error", "warning": "warning", "note": "notice"}
        for row in findings(report):
            column = row["span"][0] + 1 if row.get("span") else 1
            where = f"file={_property(entry.path)},line={entry.line},col={column}," if entry.path else ""
            kind = "warning" if row["status"] == "undecided" else kinds[row["severity"]]
            click.echo(f"::{kind} {where}title=lossdsl {row['code']}::{_data(row['message'])}")


def _shared_reason(properties: dict[str, dict[str, Any]]) -> str | None:
    """The one reason why most properties are undecided (a loss that is not defined, say): worth one line, not ten."""
    details = [f["detail"] for f in properties.values() if f["status"] == "undecided"]
    return details[0] if len(details) > 3 and len(set(details)) == 1 else None


def _colour(finding: dict[str, Any]) -> str:
    if finding["status"] == "proved":
        return "green"
    if finding["status"] == "undecided":
        return "yellow"
    return {"error": "red", "warning": "yellow", "note": "blue"}[finding["severity"]]


def _exact(value: Any) -> str:
    return f"between {value[0]} and {value[1]}" if isinstance(value, list) else str(value)


def _shift(rendered: str, entry: Entry) -> str:
    """The message with the file's line in place of the formula's own line 1."""
    if not entry.path:
        return "\n".join(f"  {line}" for line in rendered.split("\n"))
    column = rendered.split(":", 2)[1]
    rest = rendered.split(":", 2)[2]
    return "\n".join(f"  {line}" for line in f"{entry.path}:{entry.line}:{column}:{rest}".split("\n"))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str | None) -> str:
    return _data(text or "").replace(":", "%3A").replace(",", "%2C")


def sarif(pending: list[tuple[Entry, Report]]) -> dict[str, Any]:
    """A SARIF 2.1.0 log (OASIS standard), for code scanning."""
    from urllib.parse import quote

    results: list[dict[str, Any]] = []
    rules: dict[str, dict[str, Any]] = {}
    for entry, report in pending:
        for row in findings(report):
            code = row["code"]
            rules.setdefault(code, {"id": code, "name": row["name"].replace("_", " ").title().replace(" ", "")})
            level = "warning" if row["status"] == "undecided" else row["severity"]
            result: dict[str, Any] = {"ruleId": code, "level": level, "message": {"text": row["message"]}}
            span = row.get("span") or [0, len(entry.text)]
            region = {"startColumn": span[0] + 1, "endColumn": max(span[1], span[0] + 1) + 1}
            if entry.path:
                place = {"artifactLocation": {"uri": quote(entry.path.replace(os.sep, "/"))}}
                result["locations"] = [{"physicalLocation": {**place, "region": {"startLine": entry.line, **region}}}]
            else:
                result["locations"] = [{"logicalLocations": [{"fullyQualifiedName": entry.text}]}]
            results.append(result)
    driver = {
        "name": "lossdsl",
        "version": __version__,
        "informationUri": "https://pypi.org/project/lossdsl/",
        "rules": [rules[code] for code in sorted(rules)],
    }
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
