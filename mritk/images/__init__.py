"""The images of samples: decoded once on the grid of an input contract, and handed out in parts."""
