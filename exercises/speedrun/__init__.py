"""A race: the lowest bits per byte on held-out text after a fixed budget of counted FLOPs."""
