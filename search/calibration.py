"""How much L2 suits the data: found with a known loss before the search, since candidates have the same mean slope.

The best L2 depends on how many rows a user and an item have: on MovieLens-100k a value near 6e-5, on a fifth of its
rows one eight times as large. Searched around the wrong value, losses are paid for regularising, and what is found
leads no known loss that is tuned.
"""

from __future__ import annotations

from collections.abc import Callable

# In units of the known loss's best value: what a candidate is tried with, and what the last rung and the test choose
# from. Candidates have twice that loss's mean slope, so those that are shaped as it is do best at 2; the best losses of
# MovieLens-100k, which weigh the rarer label more, at about 1.
LADDER = (1.0, 0.5, 2.0)
FINAL = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
MOST_STEPS = 12
MOST_BEYOND = 3


def climb(value: Callable[[float], float], start: float) -> float:
    """The best place near `start`: in steps of two as long as one is better, upwards first, then one of half the size.

    >>> from lossdsl.search.calibration import climb
    >>> [round(climb(lambda l2: -abs(l2 - best), 0.001), 5) for best in (0.009, 0.0005, 0.0015)]
    [0.008, 0.0005, 0.00141]
    """
    place, top = start, value(start)
    for size, most in ((2.0, MOST_STEPS), (2**0.5, 1)):
        middle = place
        for factor in (size, 1 / size):
            for _ in range(most):
                here = value(place * factor)
                if not here > top:
                    break
                place, top = place * factor, here
            if place != middle:
                break
    return place


def around(unit: float, factors: tuple[float, ...]) -> tuple[float, ...]:
    """Multiples of a value, with three digits: they stand in a run's `config.toml`.

    >>> from lossdsl.search.calibration import FINAL, around
    >>> around(6e-5, FINAL)
    (3e-05, 4.2e-05, 6e-05, 8.4e-05, 0.00012, 0.000168)
    """
    return tuple(float(f"{unit * factor:.3g}") for factor in factors)


def beyond(value: Callable[[float], float], places: tuple[float, ...]) -> float:
    """The best of some ascending places; where it lies at an end, the places beyond that end are tried, too.

    Every loss is tuned so: one whose best lies outside of what suits another loss is not held to that.

    >>> from lossdsl.search.calibration import beyond
    >>> beyond(lambda l2: -abs(l2 - 5), (1.0, 2.0)), beyond(lambda l2: -abs(l2 - 5), (1.0,))
    (4.0, 1.0)
    """
    found = {place: value(place) for place in places}
    low, high = min(places), max(places)
    ordered = sorted(places)
    for _ in range(MOST_BEYOND if len(places) > 1 else 0):
        best = max(found, key=lambda place: found[place])
        if best == high:
            high = further = high * ordered[-1] / ordered[-2]
        elif best == low:
            low = further = low * ordered[0] / ordered[1]
        else:
            break
        found[further] = value(further)
    return max(found, key=lambda place: found[place])
