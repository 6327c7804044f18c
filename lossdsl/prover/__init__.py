"""Exact decision of what is true of a loss."""
