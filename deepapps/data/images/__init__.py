"""Labelled images: files, folders and arrays."""
