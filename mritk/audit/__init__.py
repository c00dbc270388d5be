"""Copies, leaks and defects in data, found before anything is trained."""
