import io
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest
from made_up import table_of

from dancestyle.evaluation import confusions, figures


@pytest.mark.parametrize(
    ("labels", "shares"), [(2, True), (19, False), pytest.param(60, True, marks=pytest.mark.slow)]
)
def test_the_matrix_is_drawn_the_same_each_time(labels: int, shares: bool) -> None:
    table = table_of(labels * 3, labels, skill=3)
    counts = confusions.matrix(table)
    values = confusions.normalised(counts) if shares else counts
    pictures = [
        figures.confusion_matrix(values, table.labels, "a model", shares=shares) for _ in range(2)
    ]
    one, two = (figures.png(picture) for picture in pictures)
    assert one == two
    assert figures.svg(pictures[0]) == figures.svg(pictures[1])
    image = cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert min(image.shape[:2]) > 20 * labels
    assert b"matplotlib" not in one.lower()


def test_svg_is_xml_without_a_date() -> None:
    table = table_of()
    figure = figures.confusion_matrix(confusions.matrix(table), table.labels, "m", shares=False)
    content = figures.svg(figure)
    ET.parse(io.BytesIO(content))
    assert b"<dc:date>" not in content


def test_an_empty_matrix_can_be_drawn() -> None:
    assert figures.png(figures.confusion_matrix(np.zeros((3, 3), int), "abc", "m", shares=False))


def test_curves_take_the_colour_of_the_page() -> None:
    panels = {
        "rgb": {"training": [3.0, 2.0], "validation": [3.0, 2.5]},
        "flow": {"training": [1.0]},
    }
    text = figures.inline_svg(figures.curves(panels), "losses")
    assert text == figures.inline_svg(figures.curves(panels), "losses")
    assert text.startswith('<svg role="img" aria-label="losses" viewBox=')
    assert "currentColor" in text
    assert figures.INK not in text
    assert "#ffffff" not in text
