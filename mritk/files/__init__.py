"""Files that are whole, proven and kept: downloads, archives, caches, digests, locks."""
