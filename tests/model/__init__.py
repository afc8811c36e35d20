"""The role protocol under every interleaving that a seed can think of; `python -m tests.model --seeds N`."""
