"""A few tensors loaded onto a device, and what headers and plan promise held against them."""
