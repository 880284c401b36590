"""What is released: the wheel, the source archive, and the oldest versions that we say work."""
