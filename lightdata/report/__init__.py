"""What a person sees of a run: progress, failures, previews."""
