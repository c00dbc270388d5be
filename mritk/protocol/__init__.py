"""The recipe that all candidates share: read, varied, stored, and put into words."""
