"""Run it: in the calling process, or in a pool of worker processes."""
