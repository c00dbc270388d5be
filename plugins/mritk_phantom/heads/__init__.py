"""``phantom3d``: whole heads with age, sex and tumours, from the anatomy of ``phantom``."""
