"""Samples divided into training, validation and test parts."""
