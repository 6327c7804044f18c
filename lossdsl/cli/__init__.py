"""The command line; every command lives in a file of its name and imports what it needs when it runs."""
