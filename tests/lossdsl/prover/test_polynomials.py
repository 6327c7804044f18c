"""What is remembered of polynomials says the same as FLINT does."""

from __future__ import annotations

from flint import fmpz_poly
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.prover.polynomials import (
    GENERATORS,
    LONGEST_KNOWN,
    MAX_KERNELS,
    MOST_KNOWN,
    RING,
    UNIT,
    X,
    mirrored_terms,
    only_x,
    poly_key,
    same_sign,
    sparse_terms,
    terms_of,
    univariate,
    univariate_mirrored,
)

POWERS = st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 2))
ROWS = st.dictionaries(POWERS, st.integers(-9, 9).filter(bool), min_size=1, max_size=6)


def polynomial(rows: dict[tuple[int, int, int], int]) -> object:
    return RING.from_dict({(*powers, *(0,) * (MAX_KERNELS - 2)): c for powers, c in rows.items()})


def dense(terms: object) -> dict[tuple[int, ...], int]:
    out = {}
    for e, powers, c in terms:  # type: ignore[attr-defined]
        full = [e, *(0,) * MAX_KERNELS]
        for i, k in powers:
            full[i + 1] = k
        out[tuple(full)] = c
    return out


@given(ROWS)
def test_terms(rows: dict[tuple[int, int, int], int]) -> None:
    f = polynomial(rows)
    plain = {tuple(map(int, m)): int(c) for m, c in f.to_dict().items()}  # type: ignore[attr-defined]
    for _ in range(2):
        assert dict(terms_of(f)) == dense(sparse_terms(f)) == dict(poly_key(f)) == plain
        assert list(poly_key(f)) == sorted(plain.items())
        assert only_x(f) == (not any(any(m[1:]) for m in plain))


@given(ROWS)
def test_mirrored_terms(rows: dict[tuple[int, int, int], int]) -> None:
    f = polynomial(rows)
    turned = f.compose(1 - X, *GENERATORS[1:])  # type: ignore[attr-defined]
    assert dense(mirrored_terms(f)) == dense(sparse_terms(turned))


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=7).filter(any))
def test_rows_of_coefficients(row: list[int]) -> None:
    f = sum((c * X**e for e, c in enumerate(row)), 0 * UNIT)
    assert univariate(f) == fmpz_poly(row)
    assert univariate_mirrored(f) == fmpz_poly(row)(fmpz_poly([1, -1]))
    signs = {(c > 0) - (c < 0) for c in row if c}
    assert same_sign(fmpz_poly(row)) == (signs.pop() if len(signs) == 1 else None)


def test_no_answer_outlives_its_polynomial() -> None:
    # Ids are used again once an object is gone; what is remembered has to hold on to its own.
    for k in range(2 * MOST_KNOWN):
        f = X + k
        assert poly_key(f) == tuple(sorted((tuple(map(int, m)), int(c)) for m, c in f.to_dict().items()))


def test_long_polynomials_are_not_kept() -> None:
    f = (1 + X) ** (LONGEST_KNOWN + 5)
    assert len(sparse_terms(f)) == LONGEST_KNOWN + 6
