"""Which plugins there are, what they are asked, and what they gave."""
