"""What a config promises: the tensors of every layer, their shapes by its figures."""
