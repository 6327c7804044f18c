"""Writes a certificate of what the prover found: the file that `lossdsl verify` checks without the prover."""

from __future__ import annotations

from lossdsl.certificate.ranging import certify
from lossdsl.certificate.writing import document

__all__ = ["certify", "document"]
