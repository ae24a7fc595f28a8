#!/usr/bin/python3
"""Draws images of text, as records for networks that read text: NumPy arrays of uint8.

Usage: text_images.py OUT.npy --count 400 --size 160x160 [--lines] [--labels OUT_Y.npy] [--seed 1]

Without --lines each image is a piece of a page: some lines of words, of several fonts and sizes, on
paper that is not quite white. With --lines it is one line of text, upside down in half of the
images; --labels then says which (0 upright, 1 upside down).

Needs Debian's python3-numpy, python3-pil and fonts-dejavu-core.
"""
import argparse
import glob
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def word(rng):
    letters = "".join(rng.choices(LETTERS, range(len(LETTERS), 0, -1), k=rng.randint(2, 9)))
    style = rng.random()
    if style < 0.15:
        return letters.upper()
    if style < 0.35:
        return letters.capitalize()
    if style < 0.45:
        return str(rng.randint(0, 99999))
    return letters


def paper(rng, width, height):
    """A background and a colour of ink that can be read on it."""
    dark = rng.random() < 0.2
    base = rng.randint(0, 70) if dark else rng.randint(170, 255)
    ink = rng.randint(180, 255) if dark else rng.randint(0, 90)
    shade = np.linspace(0, rng.uniform(-30, 30), width)[None, :, None]
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 4, (height, width, 3))
    pixels = np.clip(base + shade + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels), (ink, ink, ink)


def page(rng, fonts, width, height):
    image, ink = paper(rng, width, height)
    draw = ImageDraw.Draw(image)
    y = rng.randint(-6, 20)
    while y < height:
        size = rng.randint(9, 26)
        font = ImageFont.truetype(rng.choice(fonts), size)
        x = rng.randint(-10, width // 2)
        for _ in range(rng.randint(1, 5)):
            text = word(rng)
            draw.text((x, y), text, font=font, fill=ink)
            x += int(font.getlength(text)) + size // 3
        y += int(size * rng.uniform(1.2, 2.6))
    return image.rotate(rng.uniform(-6, 6), resample=Image.BILINEAR, fillcolor=image.getpixel((1, 1)))


def line(rng, fonts, width, height):
    image, ink = paper(rng, width, height)
    size = rng.randint(height // 2, height * 4 // 5)
    font = ImageFont.truetype(rng.choice(fonts), size)
    text = " ".join(word(rng) for _ in range(rng.randint(1, 3)))
    y = rng.randint(-4, height - size)
    ImageDraw.Draw(image).text((rng.randint(0, 10), y), text, font=font, fill=ink)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--size", default="160x160", help="HEIGHTxWIDTH")
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--labels")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    height, width = (int(n) for n in args.size.split("x"))
    fonts = sorted(glob.glob("/usr/share/fonts/truetype/dejavu/*.ttf"))
    if not fonts:
        parser.error("no DejaVu fonts: apt-get install fonts-dejavu-core")
    rng = random.Random(args.seed)
    images, labels = [], []
    for _ in range(args.count):
        image = (line if args.lines else page)(rng, fonts, width, height)
        turned = args.lines and rng.random() < 0.5
        images.append(np.asarray(image.rotate(180) if turned else image).transpose(2, 0, 1))
        labels.append(int(turned))
    np.save(args.out, np.stack(images))
    if args.labels:
        np.save(args.labels, np.array(labels, dtype=np.int64))


if __name__ == "__main__":
    main()
