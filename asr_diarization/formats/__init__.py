"""File formats of a transcript; times are rounded here and nowhere else."""
