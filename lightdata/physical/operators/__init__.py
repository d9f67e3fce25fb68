"""What workers do to batches; one operator in each file."""
