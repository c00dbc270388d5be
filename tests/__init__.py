"""The tests; a package, for a library that we test against installs one of this name."""
