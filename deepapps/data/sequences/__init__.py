"""Labelled texts, names and time series."""
