"""Model cards, for the users of a trained network or of a backbone."""
