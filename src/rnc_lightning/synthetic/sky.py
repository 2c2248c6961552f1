"""Drawn landscapes whose appearance depends on a temperature: light, clouds, haze, leaves and snow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnc_lightning.synthetic.painting import Array, Painting, mix

_GREEN, _FRESH, _BROWN, _DRY = (0.20, 0.40, 0.13), (0.36, 0.52, 0.20), (0.45, 0.35, 0.22), (0.68, 0.60, 0.35)
_SNOW = (0.93, 0.94, 0.97)


@dataclass(frozen=True)
class Scene:
    """The constant view of a fixed camera; arrays are (height, width), colours (3,)."""

    hills: Array  # coverage mask of distant hills
    land: Array  # coverage mask of the ground in front
    houses: Array  # coverage mask of walls, in front of the hills
    house_tone: Array  # brightness of the walls
    plants: Array  # fraction of foliage on the ground
    relief: Array  # unevenness of the ground
    wall: Array  # colour
    soil: Array  # colour


@dataclass(frozen=True)
class Air:
    """The weather at one time."""

    temperature: float  # degrees Celsius
    season: float  # temperature of the past weeks, which the plants show; degrees Celsius
    sun: float  # sine of the sun's elevation
    cover: float  # fraction of the sky under clouds
    haze: float  # 0..1


def draw_scene(generator: np.random.Generator, height: int, width: int) -> Scene:
    """Draw the landscape of one camera at random."""
    painting = Painting(height, width, centre=(0, 0.5), scale=1.0)
    across = np.linspace(0, 1, width, dtype=np.float32)
    level = generator.uniform(0.55, 0.72)
    ridge = level - generator.uniform(0.02, 0.16) + _profile(across, generator, 0.05)
    ground = level + _profile(across, generator, 0.02)
    houses: Array = np.zeros((height, width), dtype=np.float32)
    tone: Array = np.ones((height, width), dtype=np.float32)
    for _ in range(int(generator.integers(0, 9))):
        left, wide, top = generator.uniform(0, 0.95), generator.uniform(0.04, 0.15), level - generator.uniform(0, 0.22)
        columns = slice(int(left * width), max(int((left + wide) * width), int(left * width) + 1))
        y = painting.y[:, columns]
        block = painting.cover(top - y) * painting.cover(y - (level + 0.1))
        houses[:, columns] = np.maximum(houses[:, columns], block)
        tone[:, columns] = generator.uniform(0.6, 1.2)
    foliage = generator.normal(0.6, 0.8)
    return Scene(
        hills=painting.cover(ridge - painting.y),
        land=painting.cover(ground - painting.y),
        houses=houses,
        house_tone=tone,
        plants=np.clip(0.5 + foliage + painting.clouds(generator, 5, 4), 0, 1),
        relief=painting.clouds(generator, 6, 5),
        wall=generator.uniform(0.3, 0.75, 3).astype(np.float32),
        soil=generator.uniform(0.25, 0.5, 3).astype(np.float32),
    )


def draw_landscape(scene: Scene, air: Air, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a landscape in some weather.

    Args:
        scene: The view of the camera.
        air: Weather and sun.
        generator: Source of the clouds, the state of the plants and the exposure.

    Returns:
        (height, width, 3) pixels.
    """
    height, width = scene.land.shape
    painting = Painting(height, width, centre=(0, 0.5), scale=1.0)
    day = float(np.clip((air.sun + 0.1) / 0.35, 0, 1))
    low = float(np.exp(-(((air.sun - 0.02) / 0.12) ** 2)))  # the sun near the horizon
    horizon = mix(mix((0.04, 0.04, 0.08), (0.78, 0.86, 0.94), day), (0.95, 0.6, 0.35), 0.7 * low)
    _sky(painting, air, day, horizon, generator)
    plants, snow = _plants(air, generator), _snow_depth(air, generator)
    light = 0.12 + 0.88 * day * (1 - 0.35 * air.cover)
    hills = mix(mix(plants, scene.soil, 0.4), _SNOW, min(1.0, 1.3 * snow))
    painting.lay(scene.hills, mix(hills * light, horizon, 0.35 + 0.5 * air.haze))
    painting.lay(scene.houses, scene.wall * scene.house_tone[..., None] * light)
    ground = scene.soil + scene.plants[..., None] * (plants - scene.soil)
    ground = ground * (1 + 0.15 * scene.relief)[..., None]
    lying = np.clip(2.2 * snow - 0.6 + 0.35 * scene.relief, 0, 1)
    ground = ground + lying[..., None] * (np.asarray(_SNOW, dtype=np.float32) - ground)
    painting.lay(scene.land, ground * light)
    painting.lay(scene.land * (0.35 * air.haze), horizon)
    painting.pixels *= generator.uniform(0.8, 1.15) * generator.normal(1, 0.03, 3).astype(np.float32)
    grain = generator.standard_normal((height, width), dtype=np.float32) * (0.012 + 0.03 * (1 - day))
    painting.pixels += grain[..., None]
    return painting.finished()


def _profile(across: Array, generator: np.random.Generator, size: float) -> Array:
    """A skyline: a sum of waves of falling amplitude and rising frequency."""
    line: Array = np.zeros_like(across)
    for k in range(1, 7):
        wave = np.sin(2 * np.pi * (k * across * generator.uniform(0.6, 1.4) + generator.uniform()))
        line += size / k * generator.normal() * wave.astype(np.float32)
    return line


def _sky(painting: Painting, air: Air, day: float, horizon: Array, generator: np.random.Generator) -> None:
    zenith = mix((0.01, 0.01, 0.04), (0.20, 0.42, 0.78), day)
    painting.pixels[:] = zenith
    painting.lay(np.clip(painting.y * (1.4 + air.haze), 0, 1), mix(horizon, (0.7, 0.7, 0.7), 0.3 * air.haze * day))
    mask = np.clip((painting.clouds(generator, 3, 5) - (1.6 - 3.4 * air.cover)) * 0.9, 0, 1)
    grey = 0.95 - 0.4 * air.cover * generator.uniform(0.5, 1)
    painting.lay(mask, np.full(3, grey * (0.1 + 0.9 * day), dtype=np.float32))


def _plants(air: Air, generator: np.random.Generator) -> Array:
    """The colour of plants: brown in the cold, fresh green in spring, green when warm, dry in the heat; plus noise."""
    felt = float(np.clip(air.season + generator.normal(0, 2.5), -10, 40))
    stops = (-2.0, 8.0, 14.0, 22.0, 33.0)
    colours = np.array([(0.40, 0.33, 0.25), _BROWN, _FRESH, _GREEN, _DRY])
    return np.array([np.interp(felt, stops, colours[:, k]) for k in range(3)], dtype=np.float32)


def _snow_depth(air: Air, generator: np.random.Generator) -> float:
    """0 for no snow, 1 for everything white."""
    return float(np.clip((1.0 - 0.5 * (air.temperature + air.season) + generator.normal(0, 2)) / 8, 0, 1))
