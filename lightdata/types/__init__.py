"""What a column holds: images, tensors, and the words a schema prints."""
