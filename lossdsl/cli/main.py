"""The `lossdsl` command: finds a command's file, runs it, and makes of a failure one sentence and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from threading import Timer, main_thread
from typing import Any

import click

from lossdsl import __version__
from lossdsl.errors import LossError, MissingExtra

# name -> (module, one line for --help). Listed by hand, so that `lossdsl --help` imports no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("lossdsl.cli.check", "Say what is provably true of a loss."),
    "explain": ("lossdsl.cli.explain", "Explain a finding, by its code."),
    "show": ("lossdsl.cli.show", "Show how a formula was read: text, LaTeX, slope, curves."),
    "verify": ("lossdsl.cli.verify", "Check a certificate, without the engine that made it."),
    "equiv": ("lossdsl.cli.equiv", "Say whether two losses train the same."),
    "compile": ("lossdsl.cli.compile", "Compile a loss to a file that runs without lossdsl."),
    "data": ("lossdsl.cli.data", "Describe or fetch a data set."),
    "train": ("lossdsl.cli.train", "Train a recommender with a loss and test it."),
    "compare": ("lossdsl.cli.compare", "Compare losses, each tuned with the same budget."),
    "search": ("lossdsl.cli.search", "Search for a loss by training recommenders."),
    "compare-strategies": ("lossdsl.cli.compare_strategies", "Compare strategies of search at equal training cost."),
    "report": ("lossdsl.cli.report", "Write a report of a search, or of AutoLossGen's log, as HTML."),
    "serve": ("lossdsl.cli.serve", "Try formulas on a page, in a browser on this machine."),
}

# What a plain installation does not bring, and the extra that does.
EXTRAS = {
    **dict.fromkeys(("torch", "numba", "llvmlite", "pandas", "sklearn"), "train"),
    **dict.fromkeys(("starlette", "uvicorn"), "web"),
    **dict.fromkeys(("distributed", "dask"), "cluster"),
    "tensorboard": "tensorboard",
    "matplotlib": "plot",
    "hypothesis": "testing",
}

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

FINE, FINDINGS, USAGE, INTERRUPTED = 0, 1, 2, 130


class FormulaCommand(click.Command):
    """A command whose arguments are formulas, which may begin with a minus.

    An argument that begins with `-` is a formula unless it is a declared option or `--declared=value`; an unknown
    `--word` stays wrong usage.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        takes: dict[str, bool] = {"--help": False}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option):
                for name in (*param.opts, *param.secondary_opts):
                    takes[name] = not param.is_flag and not param.count
        options: list[str] = []
        formulas: list[str] = []
        rest = iter(args)
        for arg in rest:
            name = arg.split("=", 1)[0]
            if arg == "--":
                formulas.extend(rest)
            elif arg in takes:
                options.append(arg)
                if takes[arg]:
                    options.extend(value for value in [next(rest, None)] if value is not None)
            elif name.startswith("--") and takes.get(name):
                options.append(arg)
            elif name.startswith("--") and name[2:].replace("-", "").isalnum():
                options.append(arg)  # click says that there is no such option, and suggests one
            else:
                formulas.append(arg)
        return super().parse_args(ctx, [*options, "--", *formulas])


class LazyGroup(click.Group):
    """Imports a command's module when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise click.UsageError(f"There is no command `{args[0]}`.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["--help", "-h"]})
@click.version_option(__version__, prog_name="lossdsl")
def cli() -> None:
    """Loss functions as formulas: read, proved, compiled, trained with and searched for.

    Example: lossdsl check "-(label*log(pred) + (1-label)*log(1-pred))"
    """


class Interrupted(click.Abort):
    """A Ctrl-C, or a write that failed, in a command that can go on: `how` says by what."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


@contextmanager
def goes_on(how: str, kept: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Says by `how` a command goes on that is interrupted, or whose disk is full, where something is `kept` already."""
    try:
        yield
    except KeyboardInterrupt:
        if not kept():
            raise
        raise Interrupted(how) from None
    except OSError as error:
        if error.errno not in _FULL or not kept():
            raise
        raise LossError(f"{sentence(error)}; {how}") from error


def _interrupt() -> None:
    """A Ctrl-C for the main thread: as a real signal, which ends a wait as well, where the system has such signals."""
    identity = main_thread().ident
    if hasattr(signal, "pthread_kill") and identity is not None:
        signal.pthread_kill(identity, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


@contextmanager
def heard() -> Iterator[None]:
    """A Ctrl-C that falls into a callback of a compiler, where Python can only drop it, comes once more."""
    before = sys.unraisablehook

    def hook(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            # Not from here, where it would be dropped again.
            Timer(0.05, _interrupt).start()
        else:
            before(lost)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console script; always leaves by `SystemExit`."""
    try:
        with heard():
            sys.exit(cli.main(args=list(sys.argv[1:] if argv is None else argv), standalone_mode=False) or FINE)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except Interrupted as stop:
        click.echo(f"\ninterrupted; {stop.how}", err=True)
        sys.exit(INTERRUPTED)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader went away (`| head`). Python would complain again while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FINE)
    except Exception as error:  # the last border: a user sees no traceback unless they ask for one
        if os.environ.get("LOSSDSL_DEBUG"):
            raise
        click.echo(f"lossdsl: {sentence(error)}", err=True)
        sys.exit(USAGE)


def sentence(error: Exception) -> str:
    """One sentence for what went wrong.

    >>> from lossdsl.cli.main import sentence
    >>> sentence(ModuleNotFoundError("No module named 'torch'", name="torch"))
    "this command needs the `train` extra: pip install 'lossdsl[train]'"
    >>> sentence(OSError(28, "No space left on device", "trials.jsonl"))
    'trials.jsonl: no space left on device'
    """
    if isinstance(error, ModuleNotFoundError) and not isinstance(error, LossError):
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is not None:
            return str(MissingExtra(extra, "this command"))
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    if isinstance(error, (LossError, OSError)):
        return str(error)
    return (
        f"internal error, {type(error).__name__}: {error}\n"
        "  hint: set LOSSDSL_DEBUG=1 to see where, and please report it"
    )
