"""Sounds of made things, the first half: each gives `n` samples (float32, 32 kHz), its pitch and tempo drawn."""

import numpy as np

from extract.demo.synth import RATE, Wave, glide, noise, place, samples, sine, slow, struck


def bell(rng: np.random.Generator, n: int) -> Wave:
    """Strokes on one bell: inharmonic partials that ring on."""
    track = np.zeros(n, dtype=np.float32)
    pitch, every = rng.uniform(380, 900), rng.uniform(0.45, 1.3)
    ratios = ((0.5, 0.5), (1.0, 1.0), (1.19, 0.7), (1.5, 0.4), (2.0, 0.9), (2.74, 0.5), (3.76, 0.4), (5.4, 0.25))
    partials = [(pitch * r * rng.uniform(0.99, 1.01), a, rng.uniform(0.5, 1.1) / r**0.5) for r, a in ratios]
    stroke = struck(samples(1.8), partials)
    at = rng.uniform(0, 0.2)
    while at * RATE < n:
        place(track, stroke, samples(at), float(rng.uniform(0.7, 1.0)))
        at += every * rng.uniform(0.95, 1.05)
    return track


def siren(rng: np.random.Generator, n: int) -> Wave:
    """A horn that sweeps up and down, or goes back and forth between two notes."""
    time = np.arange(n) / RATE + rng.uniform(0, 5)
    low, wide, rate = rng.uniform(450, 700), rng.uniform(1.5, 2.3), rng.uniform(0.25, 2.2)
    sweep = 0.5 + 0.5 * np.sin(2 * np.pi * rate * time)
    if rng.random() < 0.35:
        sweep = 1 / (1 + np.exp(-20 * (sweep - 0.5)))
    cycles = glide(low * wide**sweep)
    wave = sine(cycles)
    for multiple, level in ((2, 0.45), (3, 0.35), (5, 0.15)):
        wave += np.float32(level) * sine(cycles * multiple)
    return wave


def drum(rng: np.random.Generator, n: int) -> Wave:
    """A beat: low thuds and rattling taps in a repeating pattern."""
    track = np.zeros(n, dtype=np.float32)
    pitch, step = rng.uniform(65, 130), rng.uniform(0.11, 0.22)
    time = np.arange(samples(0.35)) / RATE
    thud = sine(glide(pitch * (1 + 1.5 * np.exp(-time / 0.02)))) * np.exp(-time / 0.1).astype(np.float32)
    tap = noise(rng, samples(0.2), 700, 7000) * np.exp(-np.arange(samples(0.2)) / RATE / 0.05).astype(np.float32)
    tap = np.float32(0.35) * tap + struck(samples(0.2), [(pitch * 2.3, 0.6, 0.05)])
    pattern = rng.random(8) < 0.45
    pattern[0] = True
    for beat in range(int(n / RATE / step) + 1):
        start = samples(beat * step)
        if beat % 4 == 0 or (pattern[beat % 8] and beat % 4 != 2):
            place(track, thud, start, float(rng.uniform(0.8, 1.0)))
        if beat % 4 == 2 or (pattern[beat % 8] and beat % 2 == 1):
            place(track, tap, start, float(rng.uniform(0.5, 0.8)))
    return track


def clock(rng: np.random.Generator, n: int) -> Wave:
    """Ticking: short dry clicks, tick and tock of two pitches."""
    track = np.zeros(n, dtype=np.float32)
    every, pitch = rng.uniform(0.22, 0.5), rng.uniform(1700, 3800)
    for tick in range(int(n / RATE / every) + 1):
        own = pitch * (1.0 if tick % 2 else 0.8)
        click = struck(samples(0.05), [(own, 1.0, 0.006), (own * 2.3, 0.6, 0.004), (own * 3.7, 0.3, 0.003)])
        place(track, click, samples(tick * every + 0.02), float(rng.uniform(0.85, 1.0)))
    return track


def rain(rng: np.random.Generator, n: int) -> Wave:
    """A steady bright hiss with drops that stand out of it."""
    wave = noise(rng, n, rng.uniform(900, 1800), rng.uniform(9000, 13000), rng.uniform(-0.3, 0.2))
    wave *= np.float32(0.75) + np.float32(0.35) * slow(rng, n, 1.0)
    for _ in range(int(n / RATE * rng.uniform(8, 20))):
        pitch = rng.uniform(2000, 6500)
        drop = struck(samples(0.03), [(pitch, rng.uniform(0.5, 2.0), 0.006)])
        place(wave, drop, int(rng.integers(0, n)))
    return wave


def bird(rng: np.random.Generator, n: int) -> Wave:
    """Phrases of quick high notes, each bent up or down."""
    track = np.zeros(n, dtype=np.float32)
    base, at = rng.uniform(2600, 4600), float(rng.uniform(0, 0.3))
    length, bend, notes = rng.uniform(0.05, 0.13), rng.uniform(-0.35, 0.45), int(rng.integers(2, 7))
    while at * RATE < n:
        for note in range(notes):
            time = np.linspace(0, 1, samples(length))
            pitch = base * (1 + 0.1 * note * bend) * (1 + bend * time) * (1 + 0.04 * np.sin(40 * time))
            chirp = sine(glide(pitch)) * np.sin(np.pi * time).astype(np.float32)
            place(track, chirp, samples(at), float(rng.uniform(0.7, 1.0)))
            at += length * rng.uniform(1.15, 1.5)
        at += rng.uniform(0.15, 0.6)
    return track


def car(rng: np.random.Generator, n: int) -> Wave:
    """A running engine: a buzz of many low harmonics whose speed wanders."""
    speed = rng.uniform(38, 75) * (1 + rng.uniform(0.1, 0.7) * slow(rng, n, 0.7))
    cycles = glide(speed)
    wave = np.zeros(n, dtype=np.float32)
    for harmonic in range(1, 19):
        wave += np.float32(rng.uniform(0.5, 1.0) / harmonic**0.75) * sine(cycles * harmonic + rng.random())
    wave *= np.float32(1.0) + np.float32(0.3) * sine(cycles * 0.5)
    return wave + np.float32(0.25) * noise(rng, n, 80, 1600, -0.5)


def kettle(rng: np.random.Generator, n: int) -> Wave:
    """A steady high whistle with breath around it."""
    pitch = rng.uniform(1500, 2900)
    waver = 1 + 0.012 * np.sin(2 * np.pi * rng.uniform(4, 8) * np.arange(n) / RATE)
    cycles = glide(pitch * waver * (1 + 0.05 * slow(rng, n, 0.4)))
    wave = sine(cycles) + np.float32(0.3) * sine(cycles * 2.0)
    wave += np.float32(rng.uniform(0.12, 0.3)) * noise(rng, n, pitch * 0.7, pitch * 2.5)
    return wave
