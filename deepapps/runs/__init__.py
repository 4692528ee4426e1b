"""The result of a training: the `Run` a user holds, its folder on disk, and the functions that
make one.
"""
