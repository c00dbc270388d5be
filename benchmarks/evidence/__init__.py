"""How far intervals and verdicts can be believed: measured on simulated tables."""
