"""Signs all over a box of x and parameters, logs between their bounds."""

from __future__ import annotations

import random
from math import log

import pytest
from flint import fmpq

from lossdsl.prover.bernstein import weak_sign
from lossdsl.prover.field import Element, Field
from lossdsl.prover.points import ONE_END, ZERO_END, rational_point
from lossdsl.prover.polynomials import GENERATORS, X

G, LOG, REST, POWER = GENERATORS[1:5]


def field() -> Field:
    """x, a number g in [0, 2], log x, log(1-x), and x^g."""
    made = Field()
    g = made.free("g", fmpq(0), fmpq(2))
    log_x = made.log(made.x, lambda p: 1)
    made.log(made.sub(made.one, made.x), lambda p: -1)
    made.exp(made.mul(g, log_x))
    assert [k.kind for k in made.kernels] == ["free", "log", "log", "exp"]
    return made


@pytest.mark.parametrize(
    ("f", "answer"),
    [
        (X, (1, True)),
        (-X - 1, (-1, True)),
        (X - G, (0, False)),
        (G, (1, False)),
        (G * X + X, (1, True)),
        (LOG, (-1, True)),
        (LOG - X + 1, (-1, True)),
        (X * LOG + 1 - X, (1, True)),
        (REST + X, (-1, True)),
        (LOG * REST, (1, True)),
        (POWER * LOG - POWER * POWER, (-1, True)),
        (POWER - 1, (0, False)),
        (4 * X**2 - 4 * X + 1, (1, False)),
        (100 * X**2 - 100 * X + 26, (1, False)),
        (100 * X**2 - 100 * X + 24, (0, False)),
        # The curvature of focal: convex for every exponent.
        (-G * (G - 1) * LOG * X**2 + 2 * G * X * (1 - X) + (1 - X) ** 2, (1, True)),
    ],
)
def test_known_signs(f: object, answer: tuple[int, bool]) -> None:
    sign, strict = weak_sign(field(), f, ZERO_END, ONE_END)
    assert sign == answer[0] and (answer[1] or not strict)
    assert not (answer[1] and sign) or strict


def test_ends_of_a_piece_count() -> None:
    f = 2 * X - 1
    assert weak_sign(field(), f, rational_point(fmpq(1, 2)), ONE_END) == (1, True)
    assert weak_sign(field(), f, rational_point(fmpq(1, 4)), ONE_END)[0] == 0


@pytest.mark.parametrize("seed", range(60))
def test_no_sample_contradicts_a_sign(seed: int) -> None:
    dice = random.Random(seed)
    f = sum(
        dice.choice([-3, -1, 1, 2, 5]) * X ** dice.randint(0, 3) * G ** dice.randint(0, 2) * LOG ** dice.randint(0, 2)
        * REST ** dice.randint(0, 1) for _ in range(dice.randint(1, 4))
    )  # fmt: skip
    sign, strict = weak_sign(field(), f, ZERO_END, ONE_END)
    for x in [1e-9, 1e-3, 0.999, 1 - 1e-9, *(dice.random() for _ in range(60))]:
        for g in (0.0, 2.0, 2 * dice.random()):
            value = sum(
                float(c) * x ** int(m[0]) * g ** int(m[1]) * log(x) ** int(m[2]) * log(1 - x) ** int(m[3])
                for m, c in f.to_dict().items()
            )
            assert sign * value >= -1e-9 * (1 + abs(value))
            assert not strict or value != 0


def test_a_number_on_a_half_line_and_other_logs_are_left_alone() -> None:
    made = Field()
    made.free("g", fmpq(0), None)
    made.log(Element(1 + X, X**0), lambda p: 1)
    assert weak_sign(made, GENERATORS[1], ZERO_END, ONE_END) == (0, False)
    assert weak_sign(made, GENERATORS[2], ZERO_END, ONE_END) == (0, False)
