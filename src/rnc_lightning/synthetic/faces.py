"""Drawn faces whose appearance depends on an age and a few other latent numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnc_lightning.synthetic.painting import Array, Painting, mix

_SKIN = ((0.96, 0.81, 0.71), (0.42, 0.27, 0.19))  # fair to dark
_HAIR = ((0.10, 0.08, 0.07), (0.33, 0.20, 0.11), (0.62, 0.45, 0.24), (0.48, 0.22, 0.10))
_GREY = (0.84, 0.84, 0.85)


@dataclass(frozen=True)
class Person:
    """The traits that stay the same in all images of one person."""

    male: bool
    ageing: float  # years by which this person shown_age older than their age
    skin: float  # 0 fair, 1 dark
    hair: Array
    greying: float  # age in years at which half the hair is grey
    balding: float  # 0..1
    lines: float  # how readily the skin wrinkles
    width: float
    eyes: tuple[float, float]  # distance from the middle, radius
    nose: float
    mouth: float
    long_hair: bool
    beard: bool
    glasses: bool


def draw_person(generator: np.random.Generator) -> Person:
    """Draw the constant traits of one person at random."""
    male = bool(generator.random() < 0.55)
    return Person(
        male=male,
        ageing=float(generator.normal(0, 4.5)),
        skin=float(generator.beta(1.3, 2.2)),
        hair=np.asarray(_HAIR[generator.integers(len(_HAIR))], dtype=np.float32),
        greying=float(generator.normal(54, 8)),
        balding=float(generator.beta(1.2, 1.5)) if male else 0.05,
        lines=float(generator.lognormal(0, 0.3)),
        width=float(generator.normal(0.76, 0.04)),
        eyes=(float(generator.normal(0.34, 0.02)), float(generator.normal(0.115, 0.01))),
        nose=float(generator.normal(1, 0.12)),
        mouth=float(generator.normal(0.27, 0.03)),
        long_hair=bool(generator.random() < (0.1 if male else 0.75)),
        beard=bool(male and generator.random() < 0.3),
        glasses=bool(generator.random() < 0.15),
    )


def draw_face(person: Person, age: float, generator: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Draw a person at an age with random light, pose, background and colour cast.

    Args:
        person: The constant traits.
        age: In years. The age that the face shows differs from it by the person's `ageing` and some noise.
        generator: Source of all randomness in the image.
        height: Rows.
        width: Columns.

    Returns:
        (height, width, 3) pixels.
    """
    shown_age = float(np.clip(age + person.ageing * min(1.0, age / 30) + generator.normal(0, 2.5), 0, 105))
    painting = Painting(
        height,
        width,
        centre=(float(generator.normal(0.52, 0.02)), float(generator.normal(0.5, 0.025))),
        scale=float(generator.normal(0.41, 0.025)),
        roll=float(generator.normal(0, 0.08)),
    )
    painting.fill_background(generator, 0.1, 0.9, octaves=3)
    _head(painting, person, shown_age, generator)
    turn = float(generator.normal(0, 0.05))  # a turned head moves its features sideways
    _features(painting, person, shown_age, turn, generator)
    _wrinkles(painting, person, shown_age, turn, generator)
    _light(painting, generator)
    return painting.finished()


def _child(age: float) -> float:  # here and below, the age that the face shows
    """1 for an infant, 0 for an adult."""
    return float(np.clip(1 - age / 19, 0, 1)) ** 0.8


def _old(age: float, start: float = 25.0) -> float:
    """0 up to the age `start`, 1 at ninety, at most 1.2."""
    return float(np.clip((age - start) / (90 - start), 0, 1.2))


def _hair_colour(person: Person, age: float) -> Array:
    return mix(person.hair, _GREY, float(1 / (1 + np.exp(-(age - person.greying) / 6))))


def _skin_colour(person: Person, age: float) -> Array:
    skin = mix(_SKIN[0], _SKIN[1], person.skin)
    return mix(skin, np.full(3, skin.mean() * 1.02, dtype=np.float32), 0.35 * _old(age))  # skin pales with age


def _head(painting: Painting, person: Person, age: float, generator: np.random.Generator) -> None:
    """Neck, clothes, hair and skin, from the back to the front."""
    child, old = _child(age), _old(age)
    half_width = person.width + 0.07 * child
    half_height = 1.0 - 0.1 * child
    hair, skin = _hair_colour(person, age), _skin_colour(person, age)
    painting.lay(painting.ellipse(0, 1.75, 1.3, 0.75), generator.uniform(0.1, 0.8, 3).astype(np.float32))
    if person.long_hair:
        painting.lay(painting.ellipse(0, 0.15, half_width + 0.2, 1.15), hair * 0.85)
    painting.lay(painting.ellipse(0, 0.95, 0.36 - 0.1 * child, 0.5), skin * 0.8)
    painting.lay(painting.ellipse(0, -0.12, half_width + 0.07, half_height), hair)
    for side in (-1, 1):
        painting.lay(painting.ellipse(side * (half_width + 0.02), 0.08, 0.1, 0.2 + 0.05 * old), skin * 0.9)
    face = painting.ellipse(0, 0.02, half_width, half_height)
    jaw = painting.ellipse(0, 0.45 - 0.08 * child, half_width * (0.82 + 0.14 * old + 0.1 * child), 0.55)
    recession = person.balding * float(np.clip((age - 24) / 40, 0, 1)) + 0.5 * child**2
    hairline: Array = painting.x**2 * (0.45 * (1 - recession)) - (0.58 + 0.5 * recession)
    painting.lay(np.maximum(face * painting.cover(hairline - painting.y), jaw * painting.cover(-painting.y)), skin)
    painting.shade(1 + face * painting.clouds(generator, 6, 3) * (0.012 + 0.05 * old * person.lines))
    painting.shade(1 - 0.25 * face * np.square(np.clip(np.hypot(painting.x / half_width, painting.y), 0, 1.1)) ** 2)


def _features(painting: Painting, person: Person, age: float, turn: float, generator: np.random.Generator) -> None:
    """Eyes, brows, nose, mouth, beard and glasses."""
    child, old = _child(age), _old(age)
    skin, hair = _skin_colour(person, age), _hair_colour(person, age)
    apart, radius = person.eyes
    level = -0.1 + 0.14 * child
    radius *= 1 + 0.3 * child
    opening = radius * (0.62 - 0.25 * old + 0.1 * child) * float(generator.uniform(0.8, 1.1))
    iris = mix((0.25, 0.15, 0.08), (0.35, 0.5, 0.6), float(1 - person.skin > 0.75))
    for side in (-1, 1):
        x = side * apart + turn
        painting.lay(painting.ellipse(x, level + 0.02, radius * 1.35, opening + 0.06) * 0.35, skin * 0.7)
        white = painting.ellipse(x, level, radius, opening)
        painting.lay(white, (0.93, 0.92, 0.9))
        painting.lay(white * painting.ellipse(x + turn * 0.5, level, radius * 0.5, radius * 0.5), iris)
        painting.lay(white * painting.ellipse(x + turn * 0.5, level, radius * 0.22, radius * 0.22), (0.03, 0.03, 0.03))
        brow = painting.ellipse(x, level - 0.19 - 0.03 * child, radius * 1.5, 0.028 + 0.015 * person.male)
        painting.lay(brow * (0.8 - 0.5 * child), hair * 0.75)
        if person.glasses and age > 8:
            ring = painting.ellipse(x, level, 0.24, 0.2) - painting.ellipse(x, level, 0.21, 0.17)
            painting.lay(ring, (0.1, 0.1, 0.12))
    _nose_and_mouth(painting, person, age, turn, generator)
    if person.beard and age > 18:
        beard = painting.ellipse(0, 0.62, 0.5, 0.42) - painting.ellipse(turn, 0.45, 0.3, 0.2)
        painting.lay(np.clip(beard, 0, 1) * 0.6, hair)


def _nose_and_mouth(
    painting: Painting, person: Person, age: float, turn: float, generator: np.random.Generator
) -> None:
    child, old = _child(age), _old(age)
    skin = _skin_colour(person, age)
    size = person.nose * (1 - 0.4 * child + 0.25 * old)
    painting.lay(painting.ellipse(1.6 * turn + 0.03, 0.12, 0.055 * size, 0.24 * size) * 0.3, skin * 0.75)
    painting.lay(painting.ellipse(1.8 * turn, 0.29, 0.13 * size, 0.07 * size) * 0.5, skin * 0.72)
    smile = float(generator.normal(0.12, 0.12))
    lips = mix(skin, (0.72, 0.25, 0.27), (0.55 if person.male else 0.85) * (1 - 0.5 * old))
    level = 0.55 - 0.04 * child
    half = person.mouth * (1 - 0.25 * child)
    middle = level - (smile / half) * np.square(painting.x - 1.3 * turn)
    across = painting.cover(np.abs(painting.x - 1.3 * turn) - half)
    painting.lay(across * painting.stroke(middle, 0.075 - 0.045 * old), lips)
    painting.lay(across * painting.stroke(middle, 0.015) * 0.8, lips * 0.45)


def _wrinkles(painting: Painting, person: Person, age: float, turn: float, generator: np.random.Generator) -> None:
    """Lines on the forehead, next to the eyes and from nose to mouth; bags under the eyes."""
    depth = _old(age, 27) * person.lines * float(generator.lognormal(0, 0.2))
    if depth <= 0.02:
        return
    folds: Array = np.zeros_like(painting.x)
    forehead = np.exp(-(np.square((painting.x - turn) / 0.42) ** 2))
    for k in range(1 + int(3.4 * min(depth, 1.0))):
        wave = 0.02 * np.sin(painting.x * 6 + generator.uniform(0, 6))
        folds += forehead * painting.stroke(-0.36 - 0.085 * k + wave, 0.016)
    aside = np.abs(painting.x - turn)
    corner = person.eyes[0] + person.eyes[1]
    beside = painting.cover(np.abs(aside - (corner + 0.1)) - 0.08)
    for slope in (-0.6, 0.0, 0.6):
        folds += 0.8 * beside * painting.stroke(-0.1 + slope * (aside - corner), 0.014)
    under = painting.cover(np.abs(aside - person.eyes[0]) - 0.14)
    folds += under * painting.stroke(0.06 - 2 * np.square(aside - person.eyes[0]), 0.025)
    cheek = painting.cover(np.abs(painting.y - 0.45) - 0.17)
    folds += cheek * np.exp(-np.square((aside - 0.1 - 0.55 * (painting.y - 0.2)) / 0.03))
    painting.shade(1 - 0.38 * min(depth, 1.3) * np.clip(folds, 0, 1))


def _light(painting: Painting, generator: np.random.Generator) -> None:
    """Direction and strength of the light, contrast, colour cast and grain; some images are black and white."""
    slope = generator.normal(0, 0.14, 2).astype(np.float32)
    painting.shade(np.clip(1 + slope[0] * painting.x + slope[1] * painting.y, 0.4, 1.6))
    painting.pixels *= generator.normal(1, 0.05, 3).astype(np.float32) * generator.uniform(0.75, 1.15)
    contrast = generator.uniform(0.8, 1.15)
    painting.pixels[:] = 0.45 + contrast * (painting.pixels - 0.45)
    if generator.random() < 0.12:
        painting.pixels[:] = painting.pixels.mean(axis=2, keepdims=True)
    painting.add_grain(generator)
