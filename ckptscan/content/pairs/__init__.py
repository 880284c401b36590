"""Tensors of two checkpoints side by side: the same bytes, the same numbers, or what differs."""
