"""Writes a certificate of what the prover found: the file that `lossdsl verify` checks without the prover."""

from __future__ import annotations

from lossdsl.certificate.writing import certify, document

__all__ = ["certify", "document"]
