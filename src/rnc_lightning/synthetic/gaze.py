"""Drawn faces with a gaze direction: spherical eyes, eyelids that follow the gaze, a head that turns with it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnc_lightning.synthetic.painting import Array, Painting, mix

_EYEBALL = 0.25  # radius, in units of half a face's height
_SKIN = ((0.95, 0.80, 0.70), (0.45, 0.30, 0.22))
_IRIS = ((0.22, 0.13, 0.07), (0.35, 0.27, 0.14), (0.35, 0.50, 0.62), (0.36, 0.48, 0.36))


@dataclass(frozen=True)
class Person:
    """The traits that stay the same in all images of one person."""

    skin: Array
    iris: Array
    hair: Array
    aperture: float  # half height of the open eye
    eye: tuple[float, float]  # distance from the middle, half width
    level: float  # of the eyes, as a y coordinate
    head_bias: tuple[float, float]  # pitch and yaw of the head when the gaze is straight, radians
    visual_axis: tuple[float, float]  # pitch and yaw between the iris' axis and the gaze, radians
    brow: float
    glasses: bool


@dataclass(frozen=True)
class Pose:
    """Directions of gaze and head in radians; pitch is positive upwards, yaw to the left of the image."""

    pitch: float
    yaw: float
    head_pitch: float
    head_yaw: float


def draw_person(generator: np.random.Generator) -> Person:
    """Draw the constant traits of one person at random."""
    skin = mix(_SKIN[0], _SKIN[1], float(generator.beta(1.3, 2)))
    return Person(
        skin=skin,
        iris=np.asarray(_IRIS[generator.integers(len(_IRIS))], dtype=np.float32),
        hair=mix((0.06, 0.05, 0.05), (0.6, 0.45, 0.28), float(generator.beta(1, 2))),
        aperture=float(generator.normal(0.115, 0.012)),
        eye=(float(generator.normal(0.4, 0.02)), float(generator.normal(0.22, 0.012))),
        level=float(generator.normal(-0.28, 0.03)),
        head_bias=(float(generator.normal(-0.05, 0.1)), float(generator.normal(0, 0.08))),
        visual_axis=(float(generator.normal(0, 0.035)), float(generator.normal(0, 0.035))),
        brow=float(generator.normal(0.2, 0.02)),
        glasses=bool(generator.random() < 0.25),
    )


def draw_pose(person: Person, generator: np.random.Generator) -> Pose:
    """Draw a gaze with pitch -40 to 10 and yaw -45 to 45 degrees, and a head that turns part of the way with it."""
    pitch = np.radians(-40 + 50 * generator.beta(1.8, 1.8))
    yaw = np.radians(-45 + 90 * generator.beta(1.8, 1.8))
    share = generator.normal(0.4, 0.12)
    return Pose(
        pitch=float(pitch),
        yaw=float(yaw),
        head_pitch=float(share * pitch + person.head_bias[0] + generator.normal(0, 0.06)),
        head_yaw=float(share * yaw + person.head_bias[1] + generator.normal(0, 0.08)),
    )


def direction(pitch: float, yaw: float) -> NDArray[np.float64]:
    """Unit vector in the camera's frame: x points to the right of the image, y down, z away from the camera.

    Pitch and yaw are in radians.

    >>> direction(0.0, 0.0).round(3) + 0.0
    array([ 0.,  0., -1.])
    """
    return np.array([-np.cos(pitch) * np.sin(yaw), -np.sin(pitch), -np.cos(pitch) * np.cos(yaw)])


def landmarks(person: Person, pose: Pose) -> NDArray[np.float64]:
    """(6, 2) corners of the eyes and the mouth, from left to right in the image, in units of half a face height."""
    points = [(x + side * width, y) for x, y, width in _eyes(person, pose) for side in (-1, 1)]
    x, y, half = _mouth(pose)
    return np.array([*points, (x - half, y), (x + half, y)])


def paint_scene(painting: Painting, person: Person, pose: Pose, generator: np.random.Generator) -> None:
    """Draw a face in front of a blurred room, and the light on both.

    The face is centred on the painting's origin; half its height is one unit.
    """
    painting.fill_background(generator, 0.15, 0.85, octaves=2)
    _face(painting.window(1.8), person, pose)
    _light(painting, generator)


def _face(painting: Painting, person: Person, pose: Pose) -> None:
    turn = direction(pose.head_pitch, pose.head_yaw)
    painting.lay(painting.ellipse(0, -0.12, 0.9, 1.12), person.hair)
    painting.lay(painting.ellipse(0, 0.03, 0.82, 1.05), person.skin)
    painting.shade(np.clip(1 + 0.18 * (painting.x * np.float32(turn[0]) * 2 - np.square(painting.x)), 0.3, 2))
    for x, y, half in _eyes(person, pose):
        _paint_eye(painting, person, pose, x, y, half)
    nose_x, nose_y = 0.4 * turn[0], 0.22 + 0.35 * turn[1]
    painting.lay(painting.ellipse(0.7 * nose_x, nose_y - 0.2, 0.06, 0.25) * 0.25, person.skin * 1.25)
    painting.lay(painting.ellipse(nose_x, nose_y, 0.15, 0.08) * 0.45, person.skin * 0.7)
    x, y, half = _mouth(pose)
    painting.lay(painting.ellipse(x, y, half, 0.06), mix(person.skin, (0.65, 0.22, 0.25), 0.6))
    painting.lay(painting.ellipse(x, y, half, 0.012), person.skin * 0.3)


def _eyes(person: Person, pose: Pose) -> list[tuple[float, float, float]]:
    """Centre (x, y) and half width of both eyes, from left to right; they move with the head."""
    turn = direction(pose.head_pitch, pose.head_yaw)
    narrowing = float(np.cos(pose.head_yaw))
    x, y = 0.22 * turn[0], person.level + 0.22 * turn[1]
    return [(float(x + side * person.eye[0] * narrowing), float(y), person.eye[1] * narrowing) for side in (-1, 1)]


def _mouth(pose: Pose) -> tuple[float, float, float]:
    turn = direction(pose.head_pitch, pose.head_yaw)
    return float(0.22 * turn[0]), float(0.58 + 0.15 * turn[1]), 0.3 * float(np.cos(pose.head_yaw))


def _paint_eye(painting: Painting, person: Person, pose: Pose, x: float, y: float, half: float) -> None:
    pitch, yaw = pose.pitch - person.visual_axis[0], pose.yaw - person.visual_axis[1]
    axis, turn = direction(pitch, yaw), direction(pose.head_pitch, pose.head_yaw)
    iris_x, iris_y = x + _EYEBALL * (axis[0] - turn[0]), y + _EYEBALL * (axis[1] - turn[1])
    lowered = float(np.clip(-np.sin(pitch), -0.2, 0.7))
    opening = person.aperture * (1 - 0.75 * lowered)
    lid = y + 0.6 * person.aperture * lowered  # the upper lid moves down, the lower one hardly moves
    painting.lay(painting.ellipse(x, lid - 0.02, half * 1.25, opening + 0.06) * 0.4, person.skin * 0.68)
    white = painting.ellipse(x, lid, half, opening)
    painting.lay(white, (0.92, 0.91, 0.89))
    thin_x, thin_y = max(0.4, float(np.cos(yaw - pose.head_yaw))), max(0.4, float(np.cos(pitch - pose.head_pitch)))
    painting.lay(white * painting.ellipse(iris_x, iris_y, 0.105 * thin_x, 0.105 * thin_y), person.iris)
    painting.lay(white * painting.ellipse(iris_x, iris_y, 0.045 * thin_x, 0.045 * thin_y), (0.02, 0.02, 0.02))
    painting.lay(white * painting.ellipse(x + 0.03, y - 0.03, 0.018, 0.018), (1, 1, 1))
    lashes = np.clip(painting.ellipse(x, lid - 0.015, half * 1.08, opening + 0.02) - white, 0, 1)
    painting.lay(lashes * painting.cover(painting.y - lid) * 0.7, person.hair * 0.5)
    painting.lay(painting.ellipse(x, y - person.brow, half * 1.25, 0.035), person.hair * 0.8)
    if person.glasses:
        painting.lay(painting.ellipse(x, y, 0.34, 0.27) - painting.ellipse(x, y, 0.315, 0.245), (0.1, 0.1, 0.1))


def _light(painting: Painting, generator: np.random.Generator) -> None:
    """Light of a laptop screen: strength, direction, contrast and grain."""
    slope = generator.normal(0, 0.15, 2).astype(np.float32)
    painting.shade(1 + slope[0] * np.clip(painting.x, -2, 2) + slope[1] * np.clip(painting.y, -2, 2))
    contrast = generator.uniform(0.75, 1.15)
    painting.pixels[:] = generator.normal(0.45, 0.06) + contrast * (painting.pixels - 0.48)
    painting.pixels += generator.normal(0, 0.02, 3).astype(np.float32)
    painting.add_grain(generator)
