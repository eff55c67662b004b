"""A picture of one or two graphs side by side, drawn with Pillow: no server, no other program.

A box is a node: its op, what it works with, and the shape of its output. Colours tell families of ops apart;
a green border stands around what computes in int8. A graph of many rows goes on in a second column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.errors import FormatError
from harness.graph import OPTIONAL, Graph, Node
from harness.view.layout import Place, places

LARGEST = 4000  # pixels, either way
MARGIN, TITLE, GAP = 24, 64, 14
ROW_HEIGHTS = (34, 28, 24, 20, 17)  # the first that fits is taken
SMALLEST = 12  # row height below which a picture is unreadable
ENTRY = 60  # where a line meets a box, from its left
LONGEST = 46  # characters in a box

FAMILIES = {
    "#3b6fb6": ("Conv2D", "DepthwiseConv2D", "FullyConnected", "MatMul"),
    "#b0413e": ("Relu", "Relu6", "Softmax", "Logistic", "Tanh", "Erf", "Swish", "HardSwish", "Gelu"),
    "#3f8f5b": ("AveragePool2D", "MaxPool2D", "Mean"),
    "#8a5a9e": ("Quantize", "Dequantize"),
    "#a9762f": (
        "Reshape",
        "Squeeze",
        "Transpose",
        "Pad",
        "Concatenation",
        "SpaceToBatchND",
        "BatchToSpaceND",
    ),
    "#5f6b76": ("Add", "Sub", "Mul", "BiasAdd", "BatchNorm", "Rsqrt"),
}
OTHER = "#9aa3ab"
COLOURS = {op: colour for colour, ops in FAMILIES.items() for op in ops}
INT8_BORDER, EDGE, TEXT = "#1f9d3f", "#b9c0c7", "#20262c"


@dataclass(frozen=True)
class Panel:
    """One graph laid out in pixels. boxes: node name → (left, top, right, bottom)."""

    graph: Graph
    title: str
    boxes: dict[str, tuple[float, float, float, float]]
    labels: dict[str, str]
    row_height: int
    width: int
    height: int


def draw(graphs: list[tuple[str, Graph]], path: Path) -> tuple[int, int]:
    """Draws titled graphs side by side into a .png; returns its width and height.

    Raises FormatError where a graph is too large for a picture of `LARGEST` pixels.
    """
    panels = [_panel(title, graph, (LARGEST - MARGIN) // len(graphs) - MARGIN) for title, graph in graphs]
    width = sum(panel.width + MARGIN for panel in panels) + MARGIN
    height = max(panel.height for panel in panels) + 2 * MARGIN
    image = Image.new("RGB", (width, height), "white")
    canvas = ImageDraw.Draw(image)
    left = MARGIN
    for panel in panels:
        _draw_panel(canvas, panel, left)
        left += panel.width + MARGIN
    image.save(path, format="PNG", optimize=True)
    return width, height


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


# --- layout in pixels ---


def _panel(title: str, graph: Graph, widest: int) -> Panel:
    found = places(graph)
    labels = {node.name: label(graph, node) for node in graph.nodes}
    for row_height in (*ROW_HEIGHTS, SMALLEST):
        panel = _sized(title, graph, found, labels, row_height)
        if panel.width <= widest:
            return panel
    raise FormatError(
        f"graph '{graph.name}' with {len(graph.nodes)} nodes is too large for a picture of {LARGEST} pixels: "
        "optimize it first, or look at it in TensorBoard or Netron"
    )


def _sized(
    title: str, graph: Graph, found: dict[str, Place], labels: dict[str, str], row_height: int
) -> Panel:
    font = _font(_font_size(row_height))
    widths = {name: font.getlength(text) + 16 for name, text in labels.items()}
    rows: dict[int, list[str]] = {}
    for name in sorted(found, key=lambda n: found[n].position):
        rows.setdefault(found[name].row, []).append(name)
    per_column = max((LARGEST - 2 * MARGIN - TITLE) // row_height, 1)
    boxes, left, lowest = {}, 0.0, 0
    for start in range(0, len(rows), per_column):
        right = left
        for index in range(start, min(start + per_column, len(rows))):
            x, y = left, TITLE + (index - start) * row_height
            for name in rows[index]:
                boxes[name] = (x, y, x + widths[name], y + row_height * 0.72)
                x += widths[name] + GAP
            right, lowest = max(right, x), max(lowest, y + row_height)
        left = right + 2 * GAP
    title_width = max(_font(22).getlength(line) for line in title.split("\n"))
    return Panel(graph, title, boxes, labels, row_height, int(max(left, title_width)), int(lowest))


def _font_size(row_height: int) -> int:
    return max(round(row_height * 0.46), 8)


def label(graph: Graph, node: Node) -> str:
    """`Conv2D 3x3 /2 relu6 - 64x64x8 int8`: op, window, stride, activation, shape and dtype of the output.

    The signs are those that Pillow's own font has.
    """
    output = graph.tensors[node.outputs[0]]
    parts = [node.op]
    window = node.attrs.get("filter") or _window(graph, node)
    if window:
        parts.append("x".join(map(str, window)))
    stride = tuple(node.attrs.get("stride", (1, 1)))
    if stride != (1, 1):
        parts.append(f"/{stride[0]}" if stride[0] == stride[1] else f"/{stride[0]}x{stride[1]}")
    if node.attrs.get("activation"):
        parts.append(node.attrs["activation"])
    if output.shape:
        shape = output.shape[1:] if len(output.shape) > 1 else output.shape
        parts.append("- " + "x".join(map(str, shape)))
    if output.dtype == np.int8:
        parts.append("int8")
    elif any(n != OPTIONAL and graph.tensors[n].dtype == np.int8 for n in node.inputs[1:2]):
        parts.append("int8 weights")
    text = " ".join(parts)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _window(graph: Graph, node: Node) -> tuple[int, ...]:
    weights = graph.tensors.get(node.inputs[1]) if len(node.inputs) > 1 else None
    convolves = node.op in ("Conv2D", "DepthwiseConv2D") and weights is not None and weights.shape
    return tuple(weights.shape[1:3]) if convolves else ()


# --- drawing ---


def _draw_panel(canvas: ImageDraw.ImageDraw, panel: Panel, left: int) -> None:
    top = MARGIN
    canvas.multiline_text((left, top), panel.title, TEXT, _font(22), spacing=6)
    producers = panel.graph.producers()
    for node in panel.graph.nodes:
        for name in node.inputs:
            if name in producers:
                _draw_edge(canvas, panel, producers[name].name, node.name, left, top)
    font = _font(_font_size(panel.row_height))
    for node in panel.graph.nodes:
        x0, y0, x1, y1 = panel.boxes[node.name]
        int8 = panel.graph.tensors[node.outputs[0]].dtype == np.int8
        canvas.rounded_rectangle(
            (left + x0, top + y0, left + x1, top + y1),
            radius=5,
            fill=COLOURS.get(node.op, OTHER),
            outline=INT8_BORDER if int8 else None,
            width=3 if int8 else 0,
        )
        middle = (left + (x0 + x1) / 2, top + (y0 + y1) / 2)
        canvas.text(middle, panel.labels[node.name], "white", font, anchor="mm")


def _draw_edge(
    canvas: ImageDraw.ImageDraw, panel: Panel, source: str, target: str, left: int, top: int
) -> None:
    """A line from the lower edge of one box to the upper edge of another, below or in the next column."""
    x0, y0, x1, y1 = panel.boxes[source]
    u0, v0, u1, v1 = panel.boxes[target]
    a = (left + x0 + min((x1 - x0) / 2, ENTRY), top + y1)
    b = (left + u0 + min((u1 - u0) / 2, ENTRY), top + v0)
    points = [a, b]
    if x0 == u0 and v0 - y1 > panel.row_height:  # past other boxes, on their left side
        a, b = (left + x0, top + (y0 + y1) / 2), (left + u0, top + (v0 + v1) / 2)
        points = [a, (a[0] - GAP / 2, a[1]), (b[0] - GAP / 2, b[1]), b]
    elif v0 < y1:  # up again, through the space left of the next column
        gutter, below, above = left + u0 - GAP, a[1] + 5, b[1] - 5
        points = [a, (a[0], below), (gutter, below), (gutter, above), (b[0], above), b]
    canvas.line(points, fill=EDGE, width=2, joint="curve")
