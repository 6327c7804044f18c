"""The command line; every command lives in a file of its name and imports what it needs when it runs."""

import sys


def run() -> None:
    """Entry point of the console script.

    Here and not in `main`, because importing that takes long enough for a Ctrl-C to fall into it.
    """
    try:
        from lossdsl.cli.main import main

        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
