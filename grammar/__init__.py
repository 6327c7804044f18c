"""The language: grammar, tree, parser, printer and the named losses as text."""
