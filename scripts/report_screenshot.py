"""report_screenshot.py PAGE.html OUT.png: the top of a report page as a picture for the README and the docs.

Needs Chromium and its driver (apt-get install chromium chromium-driver) and selenium (the extra `test`).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.browser import chromium, settled, view

WIDTH, HEIGHT = 1280, 1500
COLOURS = 128  # a palette keeps the file small


def main(page: Path, out: Path) -> None:
    with chromium() as browser:
        view(browser, page, WIDTH, HEIGHT)
        settled(browser)
        shot = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
