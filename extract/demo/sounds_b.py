"""Sounds of made things, the second half: each gives `n` samples (float32, 32 kHz), its pitch and tempo drawn."""

import numpy as np

from extract.demo.synth import RATE, Wave, fade, glide, noise, place, samples, sine, slow, struck

_SCALE = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)


def piano(rng: np.random.Generator, n: int) -> Wave:
    """A tune of struck strings, one or two notes at a time."""
    track = np.zeros(n, dtype=np.float32)
    root, every = 196.0 * 2 ** (float(rng.integers(0, 12)) / 12), rng.uniform(0.18, 0.42)
    step = int(rng.integers(0, len(_SCALE)))
    at = 0.0
    while at * RATE < n:
        step = int(np.clip(step + rng.integers(-3, 4), 0, len(_SCALE) - 1))
        for pitch in (root * 2 ** (_SCALE[step] / 12), root / 2)[: 1 + int(rng.random() < 0.4)]:
            partials = [(pitch * h * (1 + 0.0004 * h * h), 1 / h**1.1, 0.6 / h**0.6) for h in range(1, 8)]
            place(track, struck(samples(1.0), partials), samples(at), float(rng.uniform(0.6, 1.0)))
        at += every * (1 if rng.random() < 0.75 else 2)
    return track


def telephone(rng: np.random.Generator, n: int) -> Wave:
    """Ringing with pauses: two small bells struck some twenty times a second."""
    time = np.arange(n) / RATE
    pitch, beat = rng.uniform(950, 1600), rng.uniform(17, 25)
    wave = sine(time * pitch) + np.float32(0.8) * sine(time * pitch * 1.26)
    wave += np.float32(0.5) * sine(time * pitch * 2.7)
    wave *= np.float32(0.25) + np.float32(0.75) * np.abs(sine(time * beat / 2))
    on, off = rng.uniform(0.7, 1.4), rng.uniform(0.25, 0.6)
    ringing = ((time + rng.uniform(0, on)) % (on + off)) < on
    return wave * ringing.astype(np.float32)


def helicopter(rng: np.random.Generator, n: int) -> Wave:
    """Chopping: low noise and thumps that pulse with the rotor."""
    cycles = glide(rng.uniform(9, 16) * (1 + 0.1 * slow(rng, n, 0.4)))
    pulse = (0.5 + 0.5 * sine(cycles)) ** 3
    blades = noise(rng, n, 60, rng.uniform(900, 1800), -0.4) * (np.float32(0.12) + pulse)
    thump = sine(cycles * 5) * pulse
    return (blades + np.float32(0.5) * thump).astype(np.float32)


def fire(rng: np.random.Generator, n: int) -> Wave:
    """Crackling: dry snaps at random times over a soft low rumble."""
    track = np.float32(0.25) * noise(rng, n, 60, 500, -0.5) * (np.float32(0.6) + slow(rng, n, 2.0))
    for _ in range(int(n / RATE * rng.uniform(14, 30))):
        length = samples(rng.uniform(0.004, 0.025))
        snap = rng.standard_normal(length).astype(np.float32)
        snap *= np.exp(-np.arange(length) / (0.25 * length)).astype(np.float32)
        place(track, snap, int(rng.integers(0, n)), float(min(6.0, 0.5 / rng.random() ** 0.6)))
    return track


def ball(rng: np.random.Generator, n: int) -> Wave:
    """Bounces: dull knocks that come faster and softer, then start again."""
    track = np.zeros(n, dtype=np.float32)
    pitch, at = rng.uniform(140, 260), 0.05
    knock = struck(samples(0.15), [(pitch, 1.0, 0.03), (pitch * 2.6, 0.5, 0.015), (pitch * 5.2, 0.3, 0.006)])
    while at * RATE < n:
        gap = rng.uniform(0.5, 0.75)
        while gap > 0.12 and at * RATE < n:
            place(track, knock, samples(at), float(gap / 0.7))
            at += gap
            gap *= rng.uniform(0.72, 0.85)
        at += 0.2
    return track


def fan(rng: np.random.Generator, n: int) -> Wave:
    """A steady hum with moving air around it."""
    time = np.arange(n) / RATE
    hum = rng.uniform(100, 190)
    wave = np.float32(0.6) * noise(rng, n, 120, rng.uniform(1800, 3200), -0.7)
    for harmonic in (1, 2, 3, 4):
        wave += np.float32(0.8 / harmonic) * sine(time * hum * harmonic)
    return wave * (np.float32(0.85) + np.float32(0.15) * sine(time * rng.uniform(2, 6)))


def frog(rng: np.random.Generator, n: int) -> Wave:
    """Croaks: short trains of low clicks with a throaty ring, and pauses."""
    track = np.zeros(n, dtype=np.float32)
    ring, rate, at = rng.uniform(450, 850), rng.uniform(26, 45), float(rng.uniform(0, 0.3))
    click = struck(samples(0.03), [(ring, 1.0, 0.008), (ring * 2.1, 0.6, 0.006)])
    length, pause = rng.uniform(0.25, 0.45), rng.uniform(0.2, 0.5)
    while at * RATE < n:
        croak = np.zeros(samples(length), dtype=np.float32)
        for pulse in range(int(length * rate)):
            place(croak, click, samples(pulse / rate), float(0.5 + 0.5 * pulse / (length * rate)))
        place(track, fade(croak), samples(at), float(rng.uniform(0.8, 1.0)))
        at += length + pause * rng.uniform(0.7, 1.3)
    return track


def train(rng: np.random.Generator, n: int) -> Wave:
    """A steam engine at work: puffs of mid-range noise, every fourth one stronger."""
    track = np.zeros(n, dtype=np.float32)
    every, low = rng.uniform(0.14, 0.3), rng.uniform(350, 600)
    length = samples(every * 0.8)
    shape = np.exp(-np.arange(length) / RATE / (every * 0.25)).astype(np.float32)
    for beat in range(int(n / RATE / every) + 1):
        puff = fade(noise(rng, length, low, low * rng.uniform(5, 7), -0.3) * shape, 0.01)
        place(track, puff, samples(beat * every), 1.0 if beat % 4 == 0 else 0.65)
    return track
