"""An open dataset: its samples, whose patients they are of, and datasets joined."""
