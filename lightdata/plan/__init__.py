"""What to compute: steps, their schema, their checks, their words."""
