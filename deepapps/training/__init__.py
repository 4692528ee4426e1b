"""The loop: how to learn. Steps, feeds, checkpoints, callbacks and optimizers."""
