"""Bytes of tensors, only when asked: what is proved, sampled or read of them."""
