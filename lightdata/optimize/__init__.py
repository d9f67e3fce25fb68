"""The same answer, cheaper."""
