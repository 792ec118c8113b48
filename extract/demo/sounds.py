"""Sounds of made things: each gives `n` samples (float32, 32 kHz), its pitch and tempo drawn."""

import numpy as np

from extract.demo.synth import RATE, Wave, fade, glide, noise, place, samples, sine, slow, struck


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
