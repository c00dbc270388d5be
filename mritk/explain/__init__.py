"""What the network of a trial looked at: maps, and how far they can be believed."""
