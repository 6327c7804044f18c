"""Writes the pages that are tables of what stands in the code, into docs/tables; every build of the docs runs it.

They are not committed, so they are never stale. An operator that is added without words here fails a test.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

FOLDER = Path(__file__).resolve().parent / "tables"
NOTE = "<!-- Written by docs/generate.py. -->\n\n"

# operator -> (meaning, where it is real and finite, what happens at its kink, an example)
OPERATORS: dict[str, tuple[str, str, str, str]] = {
    "add": ("a sum", "everywhere", "", "pred + label"),
    "sub": ("a difference", "everywhere", "", "label - pred"),
    "mul": ("a product; both sides have to be defined, even beside 0", "everywhere", "", "label*pred"),
    "div": ("a quotient", "divisor ≠ 0", "", "1/(pred+1)"),
    "pow": (
        "a power; binds tightest, to the right",
        "whole exponents: base ≠ 0 if negative; others: base > 0 (≥ 0 if the exponent is positive)",
        "",
        "pred^2",
    ),
    "neg": ("the negative; `-x^2` is `-(x^2)`", "everywhere", "", "-pred"),
    "lt": ("less, as the condition of `if`", "everywhere", "", "if(pred < 0.5, 1, pred)"),
    "le": ("less or equal, as the condition of `if`", "everywhere", "", "if(pred <= 0.5, 1, pred)"),
    "gt": ("greater, as the condition of `if`", "everywhere", "", "if(pred > 0.5, 1, pred)"),
    "ge": ("greater or equal, as the condition of `if`", "everywhere", "", "if(pred >= 0.5, 1, pred)"),
    "log": ("the natural logarithm", "x > 0", "", "log(pred)"),
    "log1p": ("log(1+x)", "x > -1", "", "log1p(pred)"),
    "exp": ("e to the x", "everywhere", "", "exp(pred)"),
    "expm1": ("exp(x) - 1", "everywhere", "", "expm1(pred)"),
    "sqrt": ("the square root; its slope needs x > 0", "x ≥ 0", "", "sqrt(pred)"),
    "square": ("x times x", "everywhere", "", "square(pred)"),
    "reciprocal": ("1/x", "x ≠ 0", "", "reciprocal(pred+1)"),
    "abs": ("the size of x; `\\|x\\|` too", "everywhere", "slope 0 at 0", "abs(label-pred)"),
    "sign": ("-1, 0 or 1", "everywhere", "jumps at 0, where it is 0", "sign(pred)"),
    "sigmoid": ("1/(1+exp(-x))", "everywhere", "", "sigmoid(score)"),
    "logsigmoid": ("log(sigmoid(x)), without its overflow", "everywhere", "", "-logsigmoid(score)"),
    "tanh": ("the hyperbolic tangent", "everywhere", "", "tanh(score)"),
    "relu": ("x where positive, else 0", "everywhere", "slope 0 at 0", "relu(score)"),
    "softplus": ("log(1+exp(x)), without its overflow", "everywhere", "", "softplus(score)"),
    "min": ("the least of two or more", "everywhere", "a tie shares the slope in halves", "min(pred, label)"),
    "max": ("the greatest of two or more", "everywhere", "a tie shares the slope in halves", "max(pred, label)"),
    "clamp": (
        "x kept within two bounds: min(max(x, lo), hi)",
        "everywhere",
        "slope 1 at a bound",
        "clamp(pred, 0.1, 0.9)",
    ),
    "if": (
        "one of two branches; both have to be defined, taken or not",
        "everywhere",
        "the slope of the branch that the condition takes",
        "if(pred > 0.5, pred, 0.5)",
    ),
    "plog": (
        "protected log: sign(x)\\*log(\\|x\\|+e); e is 1e-6, or a second argument",
        "everywhere",
        "0 at 0",
        "plog(pred)",
    ),
    "pinv": ("protected inverse: sign(x)/(\\|x\\|+e)", "everywhere", "0 at 0", "pinv(pred)"),
    "psqrt": ("protected root: sign(x)\\*sqrt(\\|x\\|+e)", "everywhere", "0 at 0", "psqrt(pred)"),
}


def operators_page() -> str:
    """One row for each operator of the grammar."""
    from lossdsl.grammar.operators import ALIASES
    from lossdsl.grammar.operators import OPERATORS as TABLE

    if set(TABLE) != set(OPERATORS):
        raise KeyError(f"operators without words: {sorted(set(TABLE) ^ set(OPERATORS))}")
    lines = ["# Operators", "", "| written | arguments | meaning | defined | at a kink |", "|---|---|---|---|---|"]
    for name, row in TABLE.items():
        meaning, domain, kink, example = OPERATORS[name]
        count = (
            str(row.low)
            if row.high == row.low
            else f"{row.low} or more"
            if row.high is None
            else f"{row.low} or {row.high}"
        )
        spelling = example.replace("|", "\\|")
        lines.append(f"| `{spelling}` | {count} | {meaning} | {domain} | {kink or '–'} |")
    lines += [
        "",
        "Kinks follow PyTorch's rule in every target, so that training with a compiled loss and with PyTorch's own",
        "operators takes the same steps.",
        "",
        "## Other names for the variables",
        "",
        "Read on input, never printed; a name that `where` defines is that parameter and no alias.",
        "",
        "| variable | also |",
        "|---|---|",
    ]
    for variable in ("pred", "label", "score"):
        names = ", ".join(f"`{alias}`" for alias, meant in ALIASES.items() if meant == variable)
        lines.append(f"| `{variable}` | {names} |")
    return NOTE + "\n".join(lines) + "\n"


def losses_page() -> str:
    """The named losses, with the source of each and what is known of them."""
    import lossdsl
    from lossdsl.grammar.losses import loss_file, loss_names

    lines = ["# Named losses", "", "Usable as a whole formula: `focal`, or `focal where gamma = 1`.", ""]
    summary = ["| name | verdict | of a pair | refuted |", "|---|---|---|---|"]
    details = []
    for name in loss_names():
        file = loss_file(name)
        report = lossdsl.check(name, timeout=None)
        refuted = ", ".join(f"`{p}`" for p, finding in report.properties.items() if finding.status == "refuted")
        summary.append(
            f"| [{name}](#{name}) | {report.verdict} | {'yes' if file.pairwise else 'no'} | {refuted or '–'} |"
        )
        details += [
            "",
            f"## {name}".replace("_", "\\_"),
            "",
            *file.source.split("\n"),
            "",
            "```text",
            file.formula,
            "```",
        ]
    anchors = [line.replace("#squared_hinge", "#squared-hinge") for line in summary]
    return NOTE + "\n".join([*lines, *anchors, *details]) + "\n"


def codes_page() -> str:
    """Every finding code."""
    from lossdsl.catalogue import catalogue

    lines = [
        "# Findings",
        "",
        "What `lossdsl explain CODE` says. LD0xx: a formula that cannot be read. LD1xx: properties that the verdict",
        "rests on. LD2xx: other properties. LD3xx: other languages that a formula may be written in.",
    ]
    for code, entry in catalogue().items():
        lines += [
            "",
            f"## {code}",
            "",
            f"**{_cell(entry.title[:1].upper() + entry.title[1:])}.** {_cell(entry.meaning)}",
            "",
            f"Why it matters: {_cell(entry.matters)}",
            "",
            "```text",
            f"example  {_short(entry.example)}{''.join(' ' + o for o in entry.options)}",
            f"mended   {_short(entry.mend)}",
            "```",
        ]
    return NOTE + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"([*_\\<>])", r"\\\1", text)


def _short(text: str) -> str:
    if len(text) > 90:
        return f"{text[:60]} … ({len(text):,} characters)"
    return text if text.isprintable() and text.strip() else repr(text)


def commands_page() -> str:
    """Every command with its options, from their declarations, so that no version of click shows."""
    import click

    from lossdsl.cli.main import COMMANDS, cli

    lines = [
        "# Commands",
        "",
        "Results go to standard output, progress and logs to standard error. Exit code 0: fine, 1: findings, 2: wrong",
        "usage or an unreadable file, 130: interrupted. A formula may begin with a minus.",
    ]
    with click.Context(cli) as context:
        for name in COMMANDS:
            command = cli.get_command(context, name)
            assert command is not None
            lines += _command(f"lossdsl {name}", command)
            if isinstance(command, click.Group):
                for sub, child in command.commands.items():
                    lines += _command(f"lossdsl {name} {sub}", child)
    return NOTE + "\n".join(lines) + "\n"


def _command(title: str, command: click.Command) -> list[str]:
    import click

    lines = ["", f"## {title}", ""]
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    for paragraph in paragraphs:
        lines += [_angles(" ".join(paragraph.split())), ""]
    rows = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            continue
        assert isinstance(parameter, click.Option)
        names = ", ".join(f"`{name}`" for name in parameter.opts)
        if isinstance(parameter.type, click.Choice):
            names += " " + " \\| ".join(map(str, parameter.type.choices))
        elif not parameter.is_flag:
            names += f" {parameter.metavar or parameter.type.name.split()[0].upper()}"
        default = (
            f" Default: `{parameter.default}`." if parameter.show_default and parameter.default is not None else ""
        )
        rows.append(f"| {names} | {_angles(' '.join((parameter.help or '').split()))}{default} |")
    if rows:
        lines += ["| option | |", "|---|---|", *rows, ""]
    if command.epilog:
        lines.append(f"`{' '.join(command.epilog.removeprefix('Example: ').split())}`")
    return lines if lines[-1] else lines[:-1]


def _angles(text: str) -> str:
    return text.replace("<", "\\<").replace("*", "\\*")


PAGES = {
    "operators.md": operators_page,
    "losses.md": losses_page,
    "codes.md": codes_page,
    "commands.md": commands_page,
}


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    for file, write in PAGES.items():
        text = write()
        path = FOLDER / file
        if not path.is_file() or path.read_text(encoding="utf-8") != text:  # an unchanged page is not built anew
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
