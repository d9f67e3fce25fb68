"""Bytes of what URLs name, from servers that may misbehave."""
