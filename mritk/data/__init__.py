"""An open dataset: its samples, decoded once, joined with others, and parts of it."""
