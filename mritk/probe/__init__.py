"""Features of frozen backbones, and the heads that are fitted to them."""
