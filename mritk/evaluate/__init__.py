"""Metrics, resamples, intervals and tests, computed from targets and scores."""
