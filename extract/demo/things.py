"""The things that the demo's clips and the tiny model's training are made of: a drawing, a sound, words."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from extract.demo import drawings, sounds
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
    Thing("Bell", ("church bell", "hand bell", "ringing bell", "bell tolling"), drawings.bell, sounds.bell),
    Thing(
        "Siren",
        ("police siren", "ambulance siren", "fire engine siren", "warning light", "emergency vehicle"),
        drawings.siren,
        sounds.siren,
    ),
    Thing("Drum", ("snare drum", "drum kit", "drummer", "drum beat"), drawings.drum, sounds.drum),
    Thing("Clock", ("wall clock", "ticking clock", "alarm clock", "watch"), drawings.clock, sounds.clock),
    Thing("Rain", ("rainfall", "raining", "rain cloud", "rain shower"), drawings.rain, sounds.rain),
    Thing("Bird", ("singing bird", "bird song", "chirping bird", "sparrow"), drawings.bird, sounds.bird),
    Thing("Car", ("car engine", "automobile", "motor car", "vehicle"), drawings.car, sounds.car),
    Thing("Kettle", ("tea kettle", "whistling kettle", "boiling kettle", "teapot"), drawings.kettle, sounds.kettle),
    Thing("Piano", ("grand piano", "piano keyboard", "pianist", "piano music"), drawings.piano, sounds.piano),
    Thing(
        "Telephone",
        ("phone", "ringing telephone", "telephone bell ringing", "desk phone"),
        drawings.telephone,
        sounds.telephone,
    ),
    Thing(
        "Helicopter",
        ("chopper", "helicopter rotor", "flying helicopter", "rotorcraft"),
        drawings.helicopter,
        sounds.helicopter,
    ),
    Thing("Fire", ("campfire", "burning fire", "flames", "crackling fire"), drawings.fire, sounds.fire),
    Thing("Ball", ("bouncing ball", "basketball", "football"), drawings.ball, sounds.ball, in_demo=False),
    Thing("Fan", ("electric fan", "desk fan", "ventilator"), drawings.fan, sounds.fan, in_demo=False),
    Thing("Frog", ("croaking frog", "toad", "bullfrog"), drawings.frog, sounds.frog, in_demo=False),
    Thing("Train", ("steam train", "locomotive", "railway engine"), drawings.train, sounds.train, in_demo=False),
)

DEMO_THINGS: tuple[Thing, ...] = tuple(thing for thing in THINGS if thing.in_demo)
DEMO_LABELS: tuple[str, ...] = tuple(thing.label for thing in DEMO_THINGS)
BY_LABEL: dict[str, Thing] = {thing.label: thing for thing in THINGS}
