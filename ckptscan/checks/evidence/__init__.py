"""What several checks look at: siblings, their differences, packed modules, figures of layers."""
