"""`lossdsl serve`: the checks in a browser, on 127.0.0.1. Needs the `web` extra."""
