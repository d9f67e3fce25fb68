"""Photo-like pictures of eight simple shapes, drawn with numpy and Pillow."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

FloatArray = NDArray[np.float32]
Points = NDArray[np.float64]
Polygon = tuple[Points, bool]

CLASSES: tuple[str, ...] = ("circle", "square", "triangle", "star", "ring", "cross", "heart", "crescent")

SIZES: tuple[tuple[int, int], ...] = (
    *((48, 40), (64, 48), (80, 80), (96, 72), (128, 96)),
    *((160, 107), (200, 150), (256, 192), (320, 240), (400, 300)),
)

LUMA: FloatArray = np.array([0.299, 0.587, 0.114], np.float32)

MASK_SCALE = 2


@dataclass(frozen=True)
class Encoding:
    """File format, pixel mode and writer options of one picture."""

    suffix: str
    format: str
    mode: str
    options: dict[str, Any] = field(default_factory=dict)


# One row per weight unit: repeated rows are more frequent formats.
ENCODINGS: tuple[Encoding, ...] = (
    *[Encoding(".jpg", "JPEG", "RGB", {"quality": quality}) for quality in (60, 75, 80, 85, 90, 95)],
    *[Encoding(".png", "PNG", "RGB", {"compress_level": 1})] * 3,
    *[Encoding(".webp", "WEBP", "RGB", {"quality": quality, "method": 1}) for quality in (70, 85)],
    Encoding(".bmp", "BMP", "RGB"),
    Encoding(".jpg", "JPEG", "L", {"quality": 85}),
    Encoding(".png", "PNG", "L", {"compress_level": 1}),
    Encoding(".png", "PNG", "RGBA", {"compress_level": 1}),
    Encoding(".gif", "GIF", "P"),
)


def disc(radius: float = 1.0, x: float = 0.0, y: float = 0.0) -> Points:
    """Circle outline, float64 [48, 2]."""
    angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def regular(corners: int, radius: float) -> Points:
    """Regular polygon outline, float64 [corners, 2]."""
    angle = np.arange(corners) * 2.0 * np.pi / corners + np.pi / corners
    return radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def star(inner: float) -> Points:
    """Five-pointed star outline, float64 [10, 2]."""
    angle = np.arange(10) * np.pi / 5.0
    radius = np.where(np.arange(10) % 2, inner, 1.1)
    return np.stack([radius * np.sin(angle), -radius * np.cos(angle)], axis=1)


def cross(arm: float) -> Points:
    """Plus-sign outline, float64 [12, 2]."""
    corner = np.array([[arm, 1.0], [arm, arm], [1.0, arm]])
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    return np.concatenate([corner @ np.linalg.matrix_power(quarter, turn) for turn in range(4)])


def heart() -> Points:
    """Heart outline, float64 [48, 2]."""
    t = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -2.5 - y], axis=1) / 15.0


def outline(label: str, rng: np.random.Generator) -> list[Polygon]:
    """Polygons of a label in unit coordinates, each either filled or cut out."""
    if label == "ring":
        return [(disc(), True), (disc(rng.uniform(0.5, 0.68)), False)]
    if label == "crescent":
        return [(disc(), True), (disc(rng.uniform(0.75, 0.85), rng.uniform(0.5, 0.6)), False)]
    single = {
        "circle": disc,
        "square": lambda: regular(4, 1.15),
        "triangle": lambda: regular(3, 1.2),
        "star": lambda: star(rng.uniform(0.42, 0.52)),
        "cross": lambda: cross(rng.uniform(0.27, 0.38)),
        "heart": heart,
    }
    return [(single[label](), True)]


def placement(width: int, height: int, rng: np.random.Generator) -> tuple[Points, Points]:
    """Random linear map, float64 [2, 2], and centre in pixels, float64 [2]."""
    size = np.array([width, height], np.float64)
    scale = rng.uniform(0.25, 0.4) * size.min()
    angle = rng.uniform(0.0, 2.0 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    stretch = np.diag(rng.uniform(0.9, 1.1, 2))
    centre = rng.uniform(1.1 * scale, size - 1.1 * scale)
    return scale * turn @ stretch, centre


def draw_mask(label: str, width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Soft-edged coverage of a randomly placed shape, mode L."""
    linear, centre = placement(width, height, rng)
    mask = Image.new("L", (width * MASK_SCALE, height * MASK_SCALE))
    draw = ImageDraw.Draw(mask)
    for points, filled in outline(label, rng):
        placed = (points @ linear + centre) * MASK_SCALE
        draw.polygon([(x, y) for x, y in placed.tolist()], fill=255 if filled else 0)
    soft = mask.reduce(MASK_SCALE)
    return soft.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8) + 0.002 * min(width, height)))


def tinted(luma: float, rng: np.random.Generator, saturation: float = 0.8) -> FloatArray:
    """Random colour of a given brightness, float32 [3] in 0..1."""
    tint = rng.random(3, np.float32)
    shift = saturation * (tint - tint @ LUMA)
    return np.clip(luma + shift, 0.0, 1.0).astype(np.float32)


def contrasting(luma: float, rng: np.random.Generator) -> float:
    """Brightness well apart from another, so that grey-scale keeps the shape."""
    step = rng.uniform(0.26, 0.45)
    up = luma < 0.35 or (luma < 0.65 and rng.random() < 0.5)
    return luma + step if up else luma - step


def from_unit(pixels: FloatArray) -> Image.Image:
    """Picture of float32 values in 0..1, [height, width] or [height, width, 3]."""
    levels = np.clip(pixels, 0.0, 1.0)
    levels *= np.float32(255.0)
    levels += np.float32(0.5)
    return Image.fromarray(levels.astype(np.uint8))


def enlarged(grid: FloatArray, width: int, height: int) -> FloatArray:
    """Grid of 0..1 values smoothly enlarged, float32 [height, width, ...]."""
    large = from_unit(grid).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large, np.float32) * np.float32(1.0 / 255.0)


def gradient(first: FloatArray, second: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Coarse blend of two colours along a random direction, float32 [8, 8, 3]."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    axis = np.linspace(-0.5, 0.5, 8)
    ramp = 0.5 + 0.7 * (axis[None, :] * np.cos(angle) + axis[:, None] * np.sin(angle))
    blend = ramp.clip(0.0, 1.0)[..., None]
    mixed: FloatArray = (first * (1.0 - blend) + second * blend).astype(np.float32)
    return mixed


def texture(width: int, height: int, rng: np.random.Generator) -> FloatArray:
    """Zero-mean surface grain of a random coarseness, float32 [height, width, 1]."""
    cell = rng.uniform(0.02, 0.12) * max(width, height)
    rows, columns = max(2, round(height / cell)), max(2, round(width / cell))
    grain = enlarged(rng.random((rows, columns), np.float32), width, height)
    surface: FloatArray = rng.uniform(0.02, 0.16) * (grain - 0.5)
    return surface[..., None]


def draw_blob(scene: Image.Image, luma: float, rng: np.random.Generator) -> None:
    """Faint ellipse at a random place, drawn into the scene."""
    x, y = rng.uniform(0.0, 1.0, 2) * scene.size
    rx, ry = rng.uniform(0.04, 0.3, 2) * min(scene.size)
    ImageDraw.Draw(scene).ellipse((x - rx, y - ry, x + rx, y + ry), fill=paint(luma, rng))


def draw_line(scene: Image.Image, luma: float, rng: np.random.Generator) -> None:
    """Faint straight line across a part of the scene, drawn into it."""
    ends = (rng.uniform(-0.1, 1.1, (2, 2)) * scene.size).ravel().tolist()
    thickness = max(1, round(rng.uniform(0.01, 0.035) * min(scene.size)))
    ImageDraw.Draw(scene).line(ends, fill=paint(luma, rng), width=thickness)


def paint(luma: float, rng: np.random.Generator) -> tuple[int, int, int]:
    """Colour near a brightness as 0..255 integers."""
    red, green, blue = (tinted(luma + rng.uniform(-0.13, 0.13), rng, 0.5) * 255.0).astype(int).tolist()
    return red, green, blue


def background(luma: float, width: int, height: int, rng: np.random.Generator) -> FloatArray:
    """Gradient with out-of-focus distractors and grain, float32 [height, width, 3]."""
    near, far = (tinted(luma + rng.uniform(-0.09, 0.09), rng, 0.5) for _ in range(2))
    # Out of focus anyway, so half the resolution is enough and four times faster.
    scene = from_unit(enlarged(gradient(near, far, rng), width // 2, height // 2))
    for _ in range(rng.integers(1, 6)):
        draw_blob(scene, luma, rng)
    for _ in range(rng.integers(0, 4)):
        draw_line(scene, luma, rng)
    focus = scene.filter(ImageFilter.GaussianBlur(rng.uniform(0.01, 0.04) * min(scene.size)))
    sharp = np.asarray(focus.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    return sharp * np.float32(1.0 / 255.0) + texture(width, height, rng)


def blurred(mask: Image.Image, radius: float) -> FloatArray:
    """Mask smoothed by a Gaussian, float32 [height, width, 1] in 0..1."""
    half = mask.reduce(2).filter(ImageFilter.GaussianBlur(radius / 2.0))
    full = half.resize(mask.size, Image.Resampling.BILINEAR)
    return np.asarray(full, np.float32)[..., None] / np.float32(255.0)


def moved(image: FloatArray, offset: Points) -> FloatArray:
    """Image shifted by whole pixels (x, y), same dtype and shape."""
    x, y = np.rint(offset).astype(int)
    return np.roll(image, (y, x), axis=(0, 1))


def direction(rng: np.random.Generator) -> Points:
    """Random unit vector, float64 [2]."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def composite(scene: FloatArray, mask: Image.Image, surface: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Shape laid over the scene with relief shading and a cast shadow, float32 [height, width, 3]."""
    side = min(mask.size)
    light = direction(rng) * side
    soft = blurred(mask, 0.035 * side)
    shade = moved(soft, light * 0.03) - moved(soft, light * -0.03)
    ground = scene * (1.0 - rng.uniform(0.0, 0.4) * moved(soft, light * rng.uniform(0.01, 0.06)))
    blend = surface + rng.uniform(0.05, 0.3) * shade
    # In place: fresh pages for every term would cost more than the arithmetic.
    blend -= ground
    blend *= np.asarray(mask, np.float32)[..., None] / np.float32(255.0)
    ground += blend
    return ground


def lighting(width: int, height: int, rng: np.random.Generator) -> FloatArray:
    """Slowly varying illumination around one, float32 [height, width, 1]."""
    grid = rng.random((3, 3), np.float32)
    depth = rng.uniform(0.0, 0.25)
    return (1.0 + depth * (enlarged(grid, width, height) - 0.5))[..., None]


def sensor_noise(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Independent uniform noise of a random strength, float32 of the given shape."""
    noise = rng.random(shape, np.float32)
    noise -= np.float32(0.5)
    noise *= np.float32(rng.uniform(0.015, 0.12))
    return noise


def draw_shape(label: str, width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Photo-like RGB picture of one shape from CLASSES."""
    luma = rng.uniform(0.2, 0.8)
    mask = draw_mask(label, width, height, rng)
    surface = tinted(contrasting(luma, rng), rng) + texture(width, height, rng)
    scene = composite(background(luma, width, height, rng), mask, surface, rng)
    scene *= lighting(width, height, rng)
    scene += sensor_noise(scene.shape, rng)
    return from_unit(scene)


def faded(image: Image.Image) -> Image.Image:
    """RGBA picture that turns transparent towards its corners."""
    y, x = np.linspace(-1.0, 1.0, image.height)[:, None], np.linspace(-1.0, 1.0, image.width)
    alpha = np.clip((2.2 - x**2 - y**2) * 255.0, 0.0, 255.0).astype(np.uint8)
    return Image.merge("RGBA", (*image.split(), Image.fromarray(alpha)))


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """RGB picture converted to a file's pixel mode."""
    if mode == "RGBA":
        return faded(image)
    if mode == "P":
        return image.quantize(128, Image.Quantize.FASTOCTREE)
    return image if mode == image.mode else image.convert(mode)


def encode_image(image: Image.Image, encoding: Encoding) -> bytes:
    """RGB picture as the bytes of an image file."""
    buffer = io.BytesIO()
    in_mode(image, encoding.mode).save(buffer, encoding.format, **encoding.options)
    return buffer.getvalue()


def random_size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height from SIZES in either orientation."""
    long, short = SIZES[rng.integers(len(SIZES))]
    return (long, short) if rng.random() < 0.5 else (short, long)


def draw_file(label: str, rng: np.random.Generator) -> tuple[str, bytes]:
    """Suffix and bytes of one image file; format and size do not depend on the label."""
    width, height = random_size(rng)
    encoding = ENCODINGS[rng.integers(len(ENCODINGS))]
    return encoding.suffix, encode_image(draw_shape(label, width, height, rng), encoding)


def draw_folder(folder: Path, count: int, *, seed: int) -> None:
    """Write `count` images, balanced over CLASSES, as folder/label/number.suffix."""
    for label in CLASSES:
        (folder / label).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        label = CLASSES[number % len(CLASSES)]
        # A generator per image keeps each one the same whatever the count.
        suffix, data = draw_file(label, np.random.default_rng((seed, number)))
        (folder / label / f"{number:06d}{suffix}").write_bytes(data)
