"""Tests of differences between rows, and the gate between two results folders."""
