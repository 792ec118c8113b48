"""Where caches and outputs are kept, and how they are written."""
