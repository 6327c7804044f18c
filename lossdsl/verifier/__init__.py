"""Checks a certificate without the engine that made it.

The certificate carries what is hard to find: where to cut (0, 1), what every part of the formula equals there, and why
each polynomial has the sign it has. Checking it needs only whole-number polynomials, Sturm's theorem and intervals that
are rounded outward; nothing here imports the prover, FLINT, SymPy or any library for numbers.
"""

from __future__ import annotations

from lossdsl.verifier.outcome import Checked
from lossdsl.verifier.verify import Verification, verify

__all__ = ["Checked", "Verification", "verify"]
