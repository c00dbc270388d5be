"""Benchmarks of mritk itself; not part of the installed distribution."""
