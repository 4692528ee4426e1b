"""Asking a trained model: its outputs over many inputs, decoding, and explanations."""
