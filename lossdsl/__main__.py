"""`python -m lossdsl` is the `lossdsl` command."""

from lossdsl.cli.main import main

main()
