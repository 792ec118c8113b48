"""A run of extraction: which clips, into which cache, by whom."""
