"""The things that the demo's clips and the tiny model's training are made of: a drawing, a sound, words."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from extract.demo import drawings as drawings_a
from extract.demo import drawings_b, sounds_b
from extract.demo import sounds as sounds_a
from extract.demo.look import Look
from extract.demo.pen import Pen
from extract.demo.synth import Wave


@dataclass(frozen=True)
class Thing:
    """One kind of thing.

    label: its name among the labels; also: other words for it, which training teaches the text encoders;
    draw(pen, look, time in s); sound(rng, samples) -> float32 wave; in_demo: False for things that only
    widen the training.
    """

    label: str
    also: tuple[str, ...]
    draw: Callable[[Pen, Look, float], None]
    sound: Callable[[np.random.Generator, int], Wave]
    in_demo: bool = True


THINGS: tuple[Thing, ...] = (
    Thing("Bell", ("church bell", "hand bell", "ringing bell", "bell tolling"), drawings_a.bell, sounds_a.bell),
    Thing(
        "Siren",
        ("police siren", "ambulance siren", "fire engine siren", "warning light", "emergency vehicle"),
        drawings_a.siren,
        sounds_a.siren,
    ),
    Thing("Drum", ("snare drum", "drum kit", "drummer", "drum beat"), drawings_a.drum, sounds_a.drum),
    Thing("Clock", ("wall clock", "ticking clock", "alarm clock", "watch"), drawings_a.clock, sounds_a.clock),
    Thing("Rain", ("rainfall", "raining", "rain cloud", "rain shower"), drawings_a.rain, sounds_a.rain),
    Thing("Bird", ("singing bird", "bird song", "chirping bird", "sparrow"), drawings_a.bird, sounds_a.bird),
    Thing("Car", ("car engine", "automobile", "motor car", "vehicle"), drawings_a.car, sounds_a.car),
    Thing("Kettle", ("tea kettle", "whistling kettle", "boiling kettle", "teapot"), drawings_a.kettle, sounds_a.kettle),
    Thing("Piano", ("grand piano", "piano keyboard", "pianist", "piano music"), drawings_b.piano, sounds_b.piano),
    Thing(
        "Telephone",
        ("phone", "ringing telephone", "telephone bell ringing", "desk phone"),
        drawings_b.telephone,
        sounds_b.telephone,
    ),
    Thing(
        "Helicopter",
        ("chopper", "helicopter rotor", "flying helicopter", "rotorcraft"),
        drawings_b.helicopter,
        sounds_b.helicopter,
    ),
    Thing("Fire", ("campfire", "burning fire", "flames", "crackling fire"), drawings_b.fire, sounds_b.fire),
    Thing("Ball", ("bouncing ball", "basketball", "football"), drawings_b.ball, sounds_b.ball, in_demo=False),
    Thing("Fan", ("electric fan", "desk fan", "ventilator"), drawings_b.fan, sounds_b.fan, in_demo=False),
    Thing("Frog", ("croaking frog", "toad", "bullfrog"), drawings_b.frog, sounds_b.frog, in_demo=False),
    Thing("Train", ("steam train", "locomotive", "railway engine"), drawings_b.train, sounds_b.train, in_demo=False),
)

DEMO_THINGS: tuple[Thing, ...] = tuple(thing for thing in THINGS if thing.in_demo)
DEMO_LABELS: tuple[str, ...] = tuple(thing.label for thing in DEMO_THINGS)
BY_LABEL: dict[str, Thing] = {thing.label: thing for thing in THINGS}
