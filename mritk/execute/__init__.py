"""Where and how trials run: in this process, or through an executor."""
