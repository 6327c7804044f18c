"""Recommenders that train with any formula: data, splits, models, training, metrics."""
