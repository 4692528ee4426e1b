"""Pairs of texts: a source and its target."""
