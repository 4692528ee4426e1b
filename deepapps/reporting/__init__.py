"""Metrics and history as one self-contained page: sections, plots, fonts, templates."""
