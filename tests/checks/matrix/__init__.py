"""The mutation matrix: kinds of damage, done to whole checkpoints, and what audit tells of them."""
