"""Images, made and resized one at a time: never more than one original and its copy are in memory."""

import warnings
from io import BytesIO
from itertools import cycle, islice
from typing import Any

from PIL import Image

from jobs.catalogue import ImageParams
from jobs.errors import JobFailed
from jobs.task import JobTask, job

#: Sizes of the originals, in turn.
ORIGINALS = ((1600, 900), (1400, 1050), (900, 1600), (1200, 1200))
FORMAT = "JPEG"

# A small file can claim to be an enormous image. Pillow refuses what has twice as many pixels, and warns from here on.
Image.MAX_IMAGE_PIXELS = 2_000_000


@job("image_processing")
def image_processing(task: JobTask, params: ImageParams) -> dict[str, Any]:
    """Return a description of each resized image, and how many there are."""
    images = []
    size = params.width, params.height
    for number, original_size in enumerate(islice(cycle(ORIGINALS), params.num_images), start=1):
        task.report(100 * (number - 1) / params.num_images, f"Image {number} of {params.num_images}")
        copy = resize(draw(number, original_size), size)
        images.append(
            {
                "number": number,
                "original_size": list(original_size),
                "size": list(size),
                "bytes": len(copy),
                "format": FORMAT,
            }
        )
    return {"images": images, "count": len(images)}


def draw(number: int, size: tuple[int, int]) -> bytes:
    """Return the file of a colourful image: three gradients, turned differently for each number."""
    line = Image.linear_gradient("L").rotate(90 * number)
    bands = [line.resize(size), Image.radial_gradient("L").resize(size), line.rotate(90).resize(size)]
    return _file(Image.merge("RGB", bands))


def resize(original: bytes, size: tuple[int, int]) -> bytes:
    """Return the file of an image, in another size. Raises :class:`JobFailed` for one that has too many pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(original)) as image:
                return _file(image.resize(size, Image.Resampling.LANCZOS))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise JobFailed(f"The image has more than {Image.MAX_IMAGE_PIXELS} pixels.") from None


def _file(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, FORMAT, quality=85)
    return buffer.getvalue()
