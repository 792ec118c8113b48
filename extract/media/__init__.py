"""Video files: what is in them, when, and clips of them as arrays."""
