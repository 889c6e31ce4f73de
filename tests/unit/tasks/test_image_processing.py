from io import BytesIO

import pytest
from PIL import Image
from tasks import image_processing

from jobs.errors import JobFailed


def test_an_image_is_made_and_resized() -> None:
    original = image_processing.draw(1, (640, 480))
    copy = image_processing.resize(original, (100, 200))
    with Image.open(BytesIO(original)) as first, Image.open(BytesIO(copy)) as second:
        assert (first.size, second.size) == ((640, 480), (100, 200))
        assert first.format == second.format == "JPEG"
        extrema = second.convert("L").getextrema()
        assert extrema[0] != extrema[1]


@pytest.mark.parametrize("side", [1500, 2500, 20_000])
def test_an_image_bomb_is_refused_before_it_is_unpacked(side: int) -> None:
    buffer = BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    with pytest.raises(JobFailed, match="more than 2000000 pixels"):
        image_processing.resize(buffer.getvalue(), (100, 100))
