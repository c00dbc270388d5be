"""An open dataset: its samples and their patients, and datasets joined."""
