"""Drawings of made things: each paints one thing at a time `t` (s) in its own coordinates."""

import numpy as np

from extract.demo.look import Look
from extract.demo.pen import Pen

_DARK = (35.0, 30.0, 30.0)


def bell(pen: Pen, look: Look, t: float) -> None:
    """A brass bell that swings from its top."""
    lean = 0.35 * look.swing(t)
    brass = look.tint((215, 170, 50), 25)
    shade = (brass[0] * 0.6, brass[1] * 0.6, brass[2] * 0.6)
    pen.ring(0, -0.85, 0.14, 0.09, shade)
    pen.disc(lean * 1.5, 0.78, 0.17, shade)
    pen.ellipse(lean * 0.6, -0.25, 0.42, 0.55, brass)
    pen.polygon([(lean * 0.6 - 0.42, -0.25), (lean * 0.6 + 0.42, -0.25), (lean + 0.78, 0.6), (lean - 0.78, 0.6)], brass)
    pen.line(lean - 0.8, 0.62, lean + 0.8, 0.62, 0.18, shade)
    pen.line(lean - 0.25, -0.4, lean - 0.4, 0.4, 0.1, (250, 235, 160), 0.7)


def siren(pen: Pen, look: Look, t: float) -> None:
    """A flashing lamp under a glass dome on a dark foot, its beam going round."""
    beam = look.swing(t, 0.8)
    lit = 0.5 + 0.5 * look.swing(t, 1.3)
    red = look.variety[3] < 0.6
    glass = (255.0, 40 + 90 * lit, 30 + 60 * lit) if red else (40 + 70 * lit, 70 + 90 * lit, 255.0)
    pen.polygon([(0, 0), (beam * 1.4 - 0.35, -1.3), (beam * 1.4 + 0.35, -1.3)], glass, 0.35 + 0.3 * lit)
    pen.ellipse(0, 0.1, 0.62, 0.8, glass)
    pen.disc(0.35 * beam, -0.1, 0.22, (255, 250, 225))
    pen.box(0, 0.55, 0.72, 0.26, (60, 62, 70), 0.05)
    pen.box(0, 0.85, 0.92, 0.13, _DARK, 0.05)


def drum(pen: Pen, look: Look, t: float) -> None:
    """A round drum seen from a little above, with two sticks that take turns."""
    skin = look.tint((238, 228, 205), 15)
    body = look.tint((190, 40, 40) if look.variety[4] < 0.6 else (40, 70, 180), 30)
    pen.box(0, 0.32, 0.82, 0.42, body)
    pen.ellipse(0, 0.74, 0.82, 0.25, body)
    for x in (-0.66, -0.22, 0.22, 0.66):
        pen.line(x, -0.05, x + 0.2, 0.8, 0.06, (245, 240, 225))
        pen.line(x + 0.2, -0.05, x, 0.8, 0.06, (245, 240, 225))
    pen.ellipse(0, -0.1, 0.86, 0.32, (90, 80, 75))
    pen.ellipse(0, -0.1, 0.76, 0.25, skin)
    for side in (-1.0, 1.0):
        lift = max(0.0, side * look.swing(t, 1.5))
        pen.line(side * 0.95, -0.85 - 0.2 * lift, side * 0.2, -0.15 - 0.6 * lift, 0.1, (150, 105, 60))
        pen.disc(side * 0.2, -0.15 - 0.6 * lift, 0.09, (120, 80, 45))


def clock(pen: Pen, look: Look, t: float) -> None:
    """A round clock face with twelve marks and two hands."""
    rim = look.tint((60, 60, 75), 45)
    pen.disc(0, 0, 0.98, rim)
    pen.disc(0, 0, 0.82, look.tint((242, 240, 232), 12))
    for hour in range(12):
        angle = hour * np.pi / 6
        long = 0.6 if hour % 3 == 0 else 0.68
        x, y = float(np.sin(angle)), float(-np.cos(angle))
        pen.line(long * x, long * y, 0.75 * x, 0.75 * y, 0.07, _DARK)
    for rate, length, width in ((0.1, 0.42, 0.13), (0.6, 0.62, 0.08)):
        angle = look.turn(t, rate) + 2 * np.pi * look.variety[5]
        pen.line(0, 0, length * float(np.sin(angle)), -length * float(np.cos(angle)), width, _DARK)
    pen.disc(0, 0, 0.1, (200, 50, 40))


def rain(pen: Pen, look: Look, t: float) -> None:
    """A grey cloud and slanting streaks that fall from it."""
    lean = 0.25 * (look.variety[4] - 0.5)
    water = look.tint((120, 165, 235), 25)
    for drop in range(22):
        start = (drop * 0.618 + look.phase) % 1.0
        x = -0.95 + 1.9 * ((drop * 0.7548 + look.variety[5]) % 1.0)
        y = -0.35 + 1.6 * ((start + t * (0.9 + 0.5 * look.tempo)) % 1.0)
        pen.line(x + lean * (y + 0.4), y, x + lean * (y + 0.7), y + 0.28, 0.07, water, 0.95)
    cloud = look.tint((128, 132, 145), 22)
    for x, y, radius in ((-0.6, -0.5, 0.36), (-0.1, -0.72, 0.45), (0.42, -0.62, 0.38), (0.75, -0.45, 0.28)):
        pen.disc(x, y, radius, cloud)
    pen.box(0.05, -0.36, 0.85, 0.2, cloud, 0.18)


def bird(pen: Pen, look: Look, t: float) -> None:
    """A small bird in flight, seen from the side, wings going up and down."""
    body = look.tint((70, 120, 200) if look.variety[4] < 0.5 else (200, 90, 60), 35)
    wing = (body[0] * 0.65, body[1] * 0.65, body[2] * 0.65)
    flap = look.swing(t, 2.0)
    pen.polygon([(-0.55, 0.0), (-1.15, -0.28), (-1.1, 0.22)], wing)
    pen.ellipse(0, 0.05, 0.68, 0.36, body)
    pen.ellipse(0.08, 0.2, 0.42, 0.2, (240, 230, 210))
    pen.disc(0.62, -0.22, 0.31, body)
    pen.polygon([(0.86, -0.32), (1.25, -0.16), (0.86, -0.06)], (245, 170, 40))
    pen.disc(0.7, -0.28, 0.075, _DARK)
    pen.polygon([(-0.35, 0.0), (0.3, 0.0), (-0.25, -0.95 * flap - 0.1)], wing)


def car(pen: Pen, look: Look, t: float) -> None:
    """A car from the side, wheels turning."""
    paint = look.tint((200, 45, 50) if look.variety[5] < 0.5 else (45, 130, 90), 45)
    bump = 0.03 * look.swing(t, 3.0)
    pen.polygon([(-0.62, -0.02 + bump), (-0.38, -0.5 + bump), (0.3, -0.5 + bump), (0.62, -0.02 + bump)], paint)
    pen.polygon([(-0.48, -0.05), (-0.32, -0.4), (-0.05, -0.4), (-0.05, -0.05)], (185, 220, 240))
    pen.polygon([(0.05, -0.05), (0.05, -0.4), (0.25, -0.4), (0.46, -0.05)], (185, 220, 240))
    pen.box(0, 0.18 + bump, 1.1, 0.25, paint, 0.12)
    pen.disc(1.05, 0.12 + bump, 0.09, (255, 245, 150))
    for x in (-0.58, 0.58):
        pen.disc(x, 0.42, 0.29, _DARK)
        pen.disc(x, 0.42, 0.14, (190, 190, 195))
        spin = look.turn(t, 1.2)
        dx, dy = 0.14 * float(np.cos(spin)), 0.14 * float(np.sin(spin))
        pen.line(x - dx, 0.42 - dy, x + dx, 0.42 + dy, 0.06, _DARK)


def kettle(pen: Pen, look: Look, t: float) -> None:
    """A kettle with handle and spout, puffs of steam rising from the spout."""
    metal = look.tint((165, 175, 190) if look.variety[4] < 0.6 else (70, 150, 140), 22)
    shade = (metal[0] * 0.6, metal[1] * 0.6, metal[2] * 0.6)
    for puff in range(4):
        rise = (puff / 4 + t * look.tempo * 0.6 + look.phase) % 1.0
        pen.disc(0.95 + 0.15 * rise, -0.25 - 0.95 * rise, 0.12 + 0.2 * rise, (240, 242, 245), 0.85 * (1 - rise))
    pen.ring(-0.05, -0.35, 0.5, 0.13, _DARK)
    pen.polygon([(0.4, 0.25), (0.45, -0.02), (1.0, -0.3), (0.92, -0.1)], shade)
    pen.ellipse(-0.05, 0.32, 0.72, 0.6, metal)
    pen.box(-0.05, 0.85, 0.68, 0.09, shade, 0.05)
    pen.ellipse(-0.05, -0.22, 0.34, 0.11, shade)
    pen.disc(-0.05, -0.35, 0.1, _DARK)
    pen.line(-0.45, 0.1, -0.5, 0.5, 0.1, (245, 245, 245), 0.6)


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
