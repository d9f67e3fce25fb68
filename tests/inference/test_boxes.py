"""Boxes: their forms, the way back to the image, and suppression, against definitions written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lightdata.inference.boxes import corners, have_area, in_image, overlaps, suppress
from lightdata.types.operation import Letterbox, Resize

LENGTHS = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("box_format", "box"),
    [("xyxy", (2, 3, 8, 7)), ("yxyx", (3, 2, 7, 8)), ("xywh", (2, 3, 6, 4)), ("cxcywh", (5, 5, 6, 4))],
)
def test_every_form_of_a_box_has_the_same_corners(box_format, box):
    """The four ways to write a box give one."""
    assert corners(np.array([box], np.float16), box_format).tolist() == [[2, 3, 8, 7]]


@settings(deadline=None)
@given(
    LENGTHS,
    LENGTHS,
    st.builds(Letterbox, height=LENGTHS, width=LENGTHS) | st.builds(Resize, height=LENGTHS, width=LENGTHS),
    st.data(),
)
def test_the_way_back_is_the_inverse_of_the_way_there(height, width, fit, data):
    """A box that is scaled and moved as the kernel scales and moves pixels comes back as it was, rounding included."""
    place = fit.placed(height, width)
    x = sorted(data.draw(st.lists(st.floats(0, width), min_size=2, max_size=2)))
    y = sorted(data.draw(st.lists(st.floats(0, height), min_size=2, max_size=2)))
    box = np.array([[x[0], y[0], x[1], y[1]]])
    down, across = place.height / height, place.width / width
    there = box * (across, down, across, down) + (place.left, place.top, place.left, place.top)
    np.testing.assert_allclose(in_image(there, place, height, width), box, atol=1e-6 * max(height, width))


def test_what_is_outside_of_the_image_is_cut_off():
    """A box over the border of a letterbox ends at the image's edge; one in the border has no area, nor has NaN."""
    place = Letterbox(height=100, width=100).placed(50, 100)
    seen = np.array([[-5.0, 10, 50, 40], [0, 0, 100, 20], [0, 0, 200, 200], [np.nan, 30, 40, 40]])
    found = in_image(seen, place, 50, 100)
    assert found[:3].tolist() == [[0, 0, 50, 15], [0, 0, 100, 0], [0, 0, 100, 50]]
    assert have_area(found).tolist() == [True, False, True, False]


def overlap_by_hand(one, other):
    """Count the unit squares that two boxes of whole numbers share, and those of either."""
    cells = [{(x, y) for x in range(int(b[0]), int(b[2])) for y in range(int(b[1]), int(b[3]))} for b in (one, other)]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


def suppress_by_hand(boxes, classes, iou_threshold, most):
    kept = []
    for number, box in enumerate(boxes):
        rivals = [boxes[other] for other in kept if classes[other] == classes[number]]
        if all(overlap_by_hand(rival, box) <= iou_threshold for rival in rivals):
            kept.append(number)
    return kept[:most]


@st.composite
def box_lists(draw):
    corner = hnp.arrays(np.int64, (draw(st.integers(0, 12)), 2), elements=st.integers(0, 8))
    low = draw(corner)
    size = draw(hnp.arrays(np.int64, low.shape, elements=st.integers(1, 6)))
    classes = draw(hnp.arrays(np.int64, len(low), elements=st.integers(0, 2)))
    return np.concatenate([low, low + size], axis=1).astype(np.float64), classes


@settings(deadline=None, max_examples=300)
@given(box_lists(), st.floats(0, 1), st.integers(1, 13))
def test_suppression_is_that_of_its_definition(case, iou_threshold, most):
    """A box stays where no box of its class that stays before it overlaps it more than the threshold allows."""
    boxes, classes = case
    assert suppress(boxes, classes, iou_threshold, most).tolist() == suppress_by_hand(
        boxes, classes, iou_threshold, most
    )


@settings(deadline=None)
@given(box_lists())
def test_overlaps_are_shares_of_the_union(case):
    """The intersection over the union is that of counting unit squares."""
    boxes, _ = case
    for box in boxes:
        np.testing.assert_allclose(overlaps(box, boxes), [overlap_by_hand(box, other) for other in boxes])


def test_no_boxes_are_no_boxes():
    """Of nothing, nothing is chosen."""
    assert suppress(np.zeros((0, 4)), np.zeros(0, np.int64), 0.5, 10).shape == (0,)
    assert corners(np.zeros((0, 4), np.float32), "cxcywh").shape == (0, 4)
