"""Pure functions on batches: decode, transform, encode."""
