"""Perception Encoder Audio-Visual: pictures, sound, both at once, and sentences, through transformers."""
