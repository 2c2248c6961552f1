"""Pictures of faces that show an age, drawn from a few latent numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnc_lightning.synthetic.painting import Array, Painting, clouds, mix

_SKIN = ((0.96, 0.81, 0.71), (0.42, 0.27, 0.19))  # fair to dark
_HAIR = ((0.10, 0.08, 0.07), (0.33, 0.20, 0.11), (0.62, 0.45, 0.24), (0.48, 0.22, 0.10))
_GREY = (0.84, 0.84, 0.85)


@dataclass(frozen=True)
class Person:
    """What stays the same in all pictures of somebody."""

    male: bool
    ageing: float  # years by which this person looks older than they are
    skin: float  # 0 fair, 1 dark
    hair: Array
    greying: float  # age at which half the hair is grey
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
    """Draw somebody's constant traits."""
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


def picture_of(
    person: Person, age: float, generator: np.random.Generator, height: int, width: int
) -> NDArray[np.uint8]:
    """Photograph somebody at an age; light, pose, background and colour cast are drawn.

    Args:
        person: The constant traits.
        age: In years. The face shows it shifted by the person's own ageing and by some noise.
        generator: Draws everything about the picture.
        height: Rows.
        width: Columns.

    Returns:
        (height, width, 3) pixels.
    """
    looks = float(np.clip(age + person.ageing * min(1.0, age / 30) + generator.normal(0, 2.5), 0, 105))
    painting = Painting(
        height,
        width,
        centre=(float(generator.normal(0.52, 0.02)), float(generator.normal(0.5, 0.025))),
        scale=float(generator.normal(0.41, 0.025)),
        roll=float(generator.normal(0, 0.08)),
    )
    _background(painting, generator)
    _head(painting, person, looks, generator)
    turn = float(generator.normal(0, 0.05))  # a turned head moves its features sideways
    _features(painting, person, looks, turn, generator)
    _wrinkles(painting, person, looks, turn, generator)
    _light(painting, generator)
    return painting.finished()


def _child(looks: float) -> float:
    """1 for an infant, 0 for a grown-up."""
    return float(np.clip(1 - looks / 19, 0, 1)) ** 0.8


def _old(looks: float, start: float = 25.0) -> float:
    """0 up to `start`, 1 at ninety."""
    return float(np.clip((looks - start) / (90 - start), 0, 1.2))


def _grey(person: Person, looks: float) -> float:
    return float(1 / (1 + np.exp(-(looks - person.greying) / 6)))


def _hair_colour(person: Person, looks: float) -> Array:
    return mix(person.hair, _GREY, _grey(person, looks))


def _skin_colour(person: Person, looks: float) -> Array:
    skin = mix(_SKIN[0], _SKIN[1], person.skin)
    return mix(skin, np.full(3, skin.mean() * 1.02, dtype=np.float32), 0.35 * _old(looks))  # it pales with age


def _background(painting: Painting, generator: np.random.Generator) -> None:
    height, width = painting.x.shape
    colours = generator.uniform(0.1, 0.9, (2, 3)).astype(np.float32)
    painting.pixels[:] = colours[0]
    painting.lay(np.clip(0.5 + 0.35 * clouds(generator, height, width, 2, 3), 0, 1), colours[1])


def _head(painting: Painting, person: Person, looks: float, generator: np.random.Generator) -> None:
    """Neck, clothes, hair and skin, from the back to the front."""
    child, old = _child(looks), _old(looks)
    half_width = person.width + 0.07 * child
    half_height = 1.0 - 0.1 * child
    hair, skin = _hair_colour(person, looks), _skin_colour(person, looks)
    painting.lay(painting.ellipse(0, 1.75, 1.3, 0.75), generator.uniform(0.1, 0.8, 3).astype(np.float32))
    if person.long_hair:
        painting.lay(painting.ellipse(0, 0.15, half_width + 0.2, 1.15), hair * np.float32(0.85))
    painting.lay(painting.ellipse(0, 0.95, 0.36 - 0.1 * child, 0.5), skin * np.float32(0.8))
    painting.lay(painting.ellipse(0, -0.12, half_width + 0.07, half_height), hair)
    for side in (-1, 1):
        painting.lay(painting.ellipse(side * (half_width + 0.02), 0.08, 0.1, 0.2 + 0.05 * old), skin * np.float32(0.9))
    face = painting.ellipse(0, 0.02, half_width, half_height)
    jaw = painting.ellipse(0, 0.45 - 0.08 * child, half_width * (0.82 + 0.14 * old + 0.1 * child), 0.55)
    recession = person.balding * float(np.clip((looks - 24) / 40, 0, 1)) + 0.5 * child**2
    hairline = np.float32(-0.58 - 0.5 * recession) + np.float32(0.45 * (1 - recession)) * np.square(painting.x)
    painting.lay(np.maximum(face * painting.cover(hairline - painting.y), jaw * painting.cover(-painting.y)), skin)
    height, width = painting.x.shape
    blotches = clouds(generator, height, width, 6, 3)
    painting.shade(1 + face * blotches * np.float32(0.012 + 0.05 * old * person.lines))
    painting.shade(
        1 - np.float32(0.25) * face * np.square(np.clip(np.hypot(painting.x / half_width, painting.y), 0, 1.1)) ** 2
    )


def _features(painting: Painting, person: Person, looks: float, turn: float, generator: np.random.Generator) -> None:
    """Eyes, brows, nose, mouth, beard and glasses."""
    child, old = _child(looks), _old(looks)
    skin, hair = _skin_colour(person, looks), _hair_colour(person, looks)
    apart, radius = person.eyes
    level = -0.1 + 0.14 * child
    radius *= 1 + 0.3 * child
    opening = radius * (0.62 - 0.25 * old + 0.1 * child) * float(generator.uniform(0.8, 1.1))
    iris = mix((0.25, 0.15, 0.08), (0.35, 0.5, 0.6), float(1 - person.skin > 0.75))
    for side in (-1, 1):
        x = side * apart + turn
        painting.lay(
            painting.ellipse(x, level + 0.02, radius * 1.35, opening + 0.06) * np.float32(0.35), skin * np.float32(0.7)
        )
        white = painting.ellipse(x, level, radius, opening)
        painting.lay(white, (0.93, 0.92, 0.9))
        painting.lay(white * painting.ellipse(x + turn * 0.5, level, radius * 0.5, radius * 0.5), iris)
        painting.lay(white * painting.ellipse(x + turn * 0.5, level, radius * 0.22, radius * 0.22), (0.03, 0.03, 0.03))
        brow = painting.ellipse(x, level - 0.19 - 0.03 * child, radius * 1.5, 0.028 + 0.015 * person.male)
        painting.lay(brow * np.float32(0.8 - 0.5 * child), hair * np.float32(0.75))
        if person.glasses and looks > 8:
            ring = painting.ellipse(x, level, 0.24, 0.2) - painting.ellipse(x, level, 0.21, 0.17)
            painting.lay(ring, (0.1, 0.1, 0.12))
    _nose_and_mouth(painting, person, looks, turn, generator)
    if person.beard and looks > 18:
        beard = painting.ellipse(0, 0.62, 0.5, 0.42) - painting.ellipse(turn, 0.45, 0.3, 0.2)
        painting.lay(np.clip(beard, 0, 1) * np.float32(0.6), hair)


def _nose_and_mouth(
    painting: Painting, person: Person, looks: float, turn: float, generator: np.random.Generator
) -> None:
    child, old = _child(looks), _old(looks)
    skin = _skin_colour(person, looks)
    size = person.nose * (1 - 0.4 * child + 0.25 * old)
    painting.lay(
        painting.ellipse(1.6 * turn + 0.03, 0.12, 0.055 * size, 0.24 * size) * np.float32(0.3), skin * np.float32(0.75)
    )
    painting.lay(
        painting.ellipse(1.8 * turn, 0.29, 0.13 * size, 0.07 * size) * np.float32(0.5), skin * np.float32(0.72)
    )
    smile = float(generator.normal(0.12, 0.12))
    lips = mix(skin, (0.72, 0.25, 0.27), (0.55 if person.male else 0.85) * (1 - 0.5 * old))
    level = 0.55 - 0.04 * child
    half = person.mouth * (1 - 0.25 * child)
    middle = np.float32(level) - np.float32(smile / half) * np.square(painting.x - np.float32(1.3 * turn))
    across = painting.cover(np.abs(painting.x - np.float32(1.3 * turn)) - np.float32(half))
    painting.lay(across * painting.stroke(middle, 0.075 - 0.045 * old), lips)
    painting.lay(across * painting.stroke(middle, 0.015) * np.float32(0.8), lips * np.float32(0.45))


def _wrinkles(painting: Painting, person: Person, looks: float, turn: float, generator: np.random.Generator) -> None:
    """Lines on the forehead, beside the eyes, from nose to mouth; bags under the eyes."""
    depth = _old(looks, 27) * person.lines * float(generator.lognormal(0, 0.2))
    if depth <= 0.02:
        return
    folds: Array = np.zeros_like(painting.x)
    forehead = np.exp(-(np.square((painting.x - np.float32(turn)) / np.float32(0.42)) ** 2))
    for k in range(1 + int(3.4 * min(depth, 1.0))):
        wave = np.float32(0.02) * np.sin(painting.x * np.float32(6) + np.float32(generator.uniform(0, 6)))
        folds += forehead * painting.stroke(np.float32(-0.36 - 0.085 * k) + wave, 0.016)
    aside = np.abs(painting.x - np.float32(turn))
    corner = person.eyes[0] + person.eyes[1]
    beside = painting.cover(np.abs(aside - np.float32(corner + 0.1)) - np.float32(0.08))
    for slope in (-0.6, 0.0, 0.6):
        folds += (
            np.float32(0.8) * beside * painting.stroke(-0.1 + np.float32(slope) * (aside - np.float32(corner)), 0.014)
        )
    under = painting.cover(np.abs(aside - np.float32(person.eyes[0])) - np.float32(0.14))
    folds += under * painting.stroke(0.06 - 2 * np.square(aside - np.float32(person.eyes[0])), 0.025)
    cheek = painting.cover(np.abs(painting.y - np.float32(0.45)) - np.float32(0.17))
    folds += cheek * np.exp(
        -np.square((aside - np.float32(0.1) - np.float32(0.55) * (painting.y - np.float32(0.2))) / np.float32(0.03))
    )
    painting.shade(1 - np.float32(0.38 * min(depth, 1.3)) * np.clip(folds, 0, 1))


def _light(painting: Painting, generator: np.random.Generator) -> None:
    """Direction and strength of the light, contrast, colour cast, an old photograph now and then, grain."""
    slope = generator.normal(0, 0.14, 2).astype(np.float32)
    painting.shade(np.clip(1 + slope[0] * painting.x + slope[1] * painting.y, 0.4, 1.6))
    painting.pixels *= generator.normal(1, 0.05, 3).astype(np.float32) * np.float32(generator.uniform(0.75, 1.15))
    contrast = np.float32(generator.uniform(0.8, 1.15))
    painting.pixels[:] = 0.45 + contrast * (painting.pixels - np.float32(0.45))
    if generator.random() < 0.12:
        painting.pixels[:] = painting.pixels.mean(axis=2, keepdims=True)
    grain = generator.standard_normal(painting.x.shape, dtype=np.float32) * np.float32(generator.uniform(0.005, 0.03))
    painting.pixels += grain[..., None]
