"""ONNX models: what they are, where they run, and running them."""
