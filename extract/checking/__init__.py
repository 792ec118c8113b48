"""Whether a backbone's weights do what they should: clips beside labels of which one is plainly right."""
