"""Data: from a value of the `data=` grammar to sources of examples, split into train, validation
and test.
"""
