"""What is predicted: the kinds of tasks (no torch)."""
