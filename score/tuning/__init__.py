"""Search: figures of many settings at once, and the best of them."""
