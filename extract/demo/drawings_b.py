"""Drawings of made things, the second half: each paints one thing at a time `t` (s) in its own coordinates."""

import numpy as np

from extract.demo.look import Look
from extract.demo.pen import Pen

_DARK = (35.0, 30.0, 30.0)


def piano(pen: Pen, look: Look, t: float) -> None:
    """A keyboard under a dark lid, one white key and then another pressed."""
    wood = look.tint((70, 40, 30), 28)
    pen.box(0, 0, 1.12, 0.72, wood, 0.06)
    pressed = int(look.turn(t, 1.3) * 1.7) % 8
    for key in range(8):
        x = -0.91 + 0.26 * key
        low = 0.07 if key == pressed else 0.0
        pen.box(x, 0.12 + low, 0.115, 0.46, (205, 205, 190) if key == pressed else (250, 250, 245))
    for key in (0, 1, 3, 4, 5):
        pen.box(-0.78 + 0.26 * key, -0.06, 0.075, 0.28, (15, 15, 18))
    pen.box(0, -0.5, 1.08, 0.1, (wood[0] * 0.6, wood[1] * 0.6, wood[2] * 0.6))


def telephone(pen: Pen, look: Look, t: float) -> None:
    """A desk telephone with a dial, its receiver shaking on the fork."""
    colour = look.tint((35, 35, 40) if look.variety[4] < 0.4 else (190, 35, 60), 25)
    shake = 0.06 * look.swing(t, 4.0)
    pen.polygon([(-0.5, -0.35), (0.5, -0.35), (0.88, 0.8), (-0.88, 0.8)], colour)
    pen.disc(0, 0.25, 0.44, (235, 230, 220))
    for hole in range(8):
        angle = hole * np.pi / 4 + 2 * np.pi * look.variety[5]
        pen.disc(0.29 * float(np.cos(angle)), 0.25 + 0.29 * float(np.sin(angle)), 0.085, _DARK)
    pen.disc(0, 0.25, 0.14, colour)
    lift = -0.62 + shake
    pen.line(-0.75, lift, 0.75, lift - shake, 0.22, colour)
    pen.box(-0.85, lift + 0.12, 0.25, 0.2, colour, 0.1)
    pen.box(0.85, lift + 0.12 - shake, 0.25, 0.2, colour, 0.1)


def helicopter(pen: Pen, look: Look, t: float) -> None:
    """A helicopter from the side: cabin, tail boom, skids, and a rotor that sweeps."""
    paint = look.tint((85, 110, 60) if look.variety[4] < 0.5 else (235, 190, 40), 30)
    sweep = 1.15 * abs(look.swing(t, 2.7)) + 0.15
    pen.line(0.2, -0.05, 1.1, -0.12, 0.13, paint)
    pen.polygon([(0.98, -0.1), (1.2, -0.45), (1.24, -0.05)], paint)
    pen.line(1.12 - 0.15, -0.3, 1.12 + 0.15, -0.1, 0.05, _DARK)
    pen.ellipse(-0.25, 0.05, 0.62, 0.45, paint)
    pen.ellipse(-0.48, -0.02, 0.34, 0.29, (175, 220, 245))
    pen.line(-0.2, -0.35, -0.2, -0.6, 0.09, _DARK)
    pen.line(-0.2 - sweep, -0.62, -0.2 + sweep, -0.62, 0.08, (90, 90, 95))
    pen.line(-0.75, 0.68, 0.35, 0.68, 0.08, _DARK)
    pen.line(-0.5, 0.4, -0.5, 0.68, 0.06, _DARK)
    pen.line(0.05, 0.4, 0.05, 0.68, 0.06, _DARK)


def fire(pen: Pen, look: Look, t: float) -> None:
    """Flames that flicker over two crossed logs."""
    pen.line(-0.8, 0.9, 0.75, 0.62, 0.2, (105, 65, 35))
    pen.line(0.8, 0.9, -0.75, 0.62, 0.2, (80, 50, 28))
    shades = (((235, 80, 20), 1.0), ((250, 150, 30), 0.68), ((255, 235, 120), 0.38))
    for colour, part in shades:
        for tongue, x in enumerate((-0.42, 0.0, 0.42)):
            sway = 0.16 * look.swing(t + 0.37 * tongue, 1.7 + 0.5 * tongue)
            reach = (0.95 + (0.5 if tongue == 1 else 0.15) + 0.25 * look.swing(t + 0.6 * tongue, 2.3)) * part
            pen.ellipse(x, 0.5, 0.36 * part, 0.3 * part, colour)
            pen.polygon([(x - 0.34 * part, 0.45), (x + 0.34 * part, 0.45), (x + sway, 0.5 - reach)], colour)


def ball(pen: Pen, look: Look, t: float) -> None:
    """A two-coloured ball that bounces."""
    height = 0.9 * abs(look.swing(t, 0.6))
    y = 0.5 - height
    pen.ellipse(0, 0.98, 0.45, 0.09, (40, 40, 40), 0.5)
    pen.disc(0, y, 0.45, look.tint((240, 100, 40), 35))
    pen.ring(0, y, 0.44, 0.05, _DARK)
    turn = look.turn(t, 0.3)
    dx, dy = 0.43 * float(np.cos(turn)), 0.43 * float(np.sin(turn))
    pen.line(-dx, y - dy, dx, y + dy, 0.07, (250, 250, 245))
    pen.line(dy, y - dx, -dy, y + dx, 0.07, (250, 250, 245))


def fan(pen: Pen, look: Look, t: float) -> None:
    """A desk fan: three blades going round in a cage on a stand."""
    blade = look.tint((90, 165, 220), 35)
    pen.line(0, 0.5, 0, 0.95, 0.12, (120, 120, 125))
    pen.box(0, 0.98, 0.5, 0.09, (90, 90, 95), 0.05)
    pen.disc(0, -0.15, 0.82, (225, 228, 232), 0.75)
    for third in range(3):
        angle = look.turn(t, 1.9) + third * 2 * np.pi / 3
        x, y = float(np.cos(angle)), float(np.sin(angle))
        pen.polygon([(0, -0.15), (0.7 * x - 0.22 * y, 0.7 * y + 0.22 * x - 0.15), (0.7 * x, 0.7 * y - 0.15)], blade)
    pen.ring(0, -0.15, 0.82, 0.07, (95, 95, 100))
    pen.ring(0, -0.15, 0.5, 0.03, (95, 95, 100))
    pen.disc(0, -0.15, 0.14, _DARK)


def frog(pen: Pen, look: Look, t: float) -> None:
    """A sitting frog with big eyes, its throat going in and out."""
    skin = look.tint((75, 160, 55), 32)
    shade = (skin[0] * 0.65, skin[1] * 0.65, skin[2] * 0.65)
    throat = 0.32 + 0.14 * look.swing(t, 1.2)
    pen.ellipse(-0.75, 0.6, 0.36, 0.24, shade)
    pen.ellipse(0.75, 0.6, 0.36, 0.24, shade)
    pen.ellipse(0, 0.35, 0.75, 0.52, skin)
    pen.ellipse(0, -0.2, 0.66, 0.4, skin)
    pen.ellipse(0, 0.25, throat + 0.12, throat, (225, 230, 160))
    for side in (-1.0, 1.0):
        pen.disc(side * 0.42, -0.6, 0.24, skin)
        pen.disc(side * 0.42, -0.62, 0.16, (250, 245, 200))
        pen.disc(side * 0.42, -0.6, 0.08, _DARK)
    pen.line(-0.42, -0.12, 0.42, -0.12, 0.06, _DARK)


def train(pen: Pen, look: Look, t: float) -> None:
    """A steam engine from the side, smoke drifting back from its chimney."""
    paint = look.tint((45, 60, 75) if look.variety[4] < 0.5 else (110, 30, 35), 25)
    for puff in range(4):
        rise = (puff / 4 + t * look.tempo * 0.5 + look.phase) % 1.0
        pen.disc(0.7 - 1.3 * rise, -0.75 - 0.35 * rise, 0.13 + 0.18 * rise, (215, 215, 218), 0.85 * (1 - rise))
    pen.box(0.2, 0.05, 0.85, 0.3, paint, 0.12)
    pen.box(-0.7, -0.15, 0.36, 0.5, paint)
    pen.box(-0.7, -0.3, 0.2, 0.17, (240, 225, 150))
    pen.box(-0.7, -0.68, 0.45, 0.07, _DARK)
    pen.box(0.7, -0.4, 0.12, 0.24, _DARK)
    pen.line(-1.05, 0.42, 1.1, 0.42, 0.1, (150, 35, 30))
    for x, radius in ((-0.65, 0.3), (0.0, 0.24), (0.55, 0.24)):
        pen.disc(x, 0.66, radius, _DARK)
        pen.disc(x, 0.66, radius * 0.5, (180, 60, 50))
    crank = 0.12 * look.swing(t)
    pen.line(-0.65 + crank, 0.6, 0.55 + crank, 0.6, 0.07, (200, 200, 205))
