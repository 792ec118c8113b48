"""CLIP for pictures and CLAP for sound."""
