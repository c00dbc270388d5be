"""A network: a backbone with proven weights, a head, its loss, and the file that keeps it."""
