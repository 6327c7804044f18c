"""How much L2 suits the data: found with a known loss before the search, since candidates have the same mean slope.

The best L2 depends on how many rows a user and an item have: on MovieLens-100k a value near 6e-5, on the built-in data,
of a fifth as many rows, one four times as large. Searched around the wrong value, losses are paid for regularising, and
what is found leads no known loss that is tuned.
"""

from __future__ import annotations

import math
from collections.abc import Callable

# In units of the known loss's best value: what a candidate is tried with, and what the last rung and the test choose
# from. Candidates have twice that loss's mean slope, so those that are shaped as it is do best at 2; the best losses of
# MovieLens-100k, which weigh the rarer label more, at about 1.
LADDER = (1.0, 0.5, 2.0)
FINAL = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
MOST_STEPS = 12
MOST_BEYOND = 3
STEP = 1.4  # between those beyond an end


def climb(value: Callable[[float], float], start: float, enough: Callable[[], bool] = lambda: False) -> float:
    """The best place near `start`: in steps of two as long as one is better, upwards first, then one of half the size.

    `enough` is asked before every step whether it has cost enough.

    >>> from lossdsl.search.calibration import climb
    >>> [round(climb(lambda l2: -abs(l2 - best), 0.001), 5) for best in (0.009, 0.0005, 0.0015)]
    [0.008, 0.0005, 0.00141]
    """
    place, top = start, value(start)
    for size, most in ((2.0, MOST_STEPS), (2**0.5, 1)):
        middle = place
        for factor in (size, 1 / size):
            for _ in range(most):
                if enough():
                    return place
                here = value(place * factor)
                if not here > top:
                    break
                place, top = place * factor, here
            if place != middle:
                break
    return place


def rounded(value: float) -> float:
    """Three digits, as a value stands in a run's `config.toml`.

    >>> from lossdsl.search.calibration import rounded
    >>> rounded(6e-5 * 2**0.5)
    8.49e-05
    """
    return float(f"{value:.3g}")


def around(unit: float, factors: tuple[float, ...]) -> tuple[float, ...]:
    """Multiples of a value, rounded; of nought there is one.

    >>> from lossdsl.search.calibration import FINAL, around
    >>> around(6e-5, FINAL)
    (3e-05, 4.2e-05, 6e-05, 8.4e-05, 0.00012, 0.000168)
    """
    return tuple(dict.fromkeys(rounded(unit * factor) for factor in factors))


def beyond(value: Callable[[float], float], places: tuple[float, ...]) -> float:
    """The best of some places; where it is the least or the largest, up to three places beyond are tried, too.

    So every loss is tuned, also one that wants more or less than suits another. A place alone is a choice and stays.

    >>> from lossdsl.search.calibration import beyond
    >>> beyond(lambda l2: -abs(l2 - 2.7), (1.0, 2.0)), beyond(lambda l2: -abs(l2 - 2.7), (1.0,))
    (2.8, 1.0)
    """
    found = {place: value(place) for place in places}
    for _ in range(MOST_BEYOND if len(found) > 1 else 0):
        best = max(found, key=lambda place: found[place])
        if best not in (min(found), max(found)) or best == 0 or not math.isfinite(found[best]):
            break
        further = best * STEP if best == max(found) else best / STEP
        found[further] = value(further)
    return max(found, key=lambda place: found[place])
