"""Which examples Hypothesis draws: the same at each run by default, other ones at each run under `make test-all`.

A change must not fail for an example that has nothing to do with it, and a failure must come again on the next machine.
New examples are looked for where time is: `make test-all`, `make fuzz` and the weekly job.
"""

from __future__ import annotations

from hypothesis import settings

# No example has a deadline: the machine may be busy with something else.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("random", derandomize=False, print_blob=True, deadline=None)
settings.load_profile("same")
