"""Draw page.png anew: the web page with its example, in Chromium.

python docs/images/page.py
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("page.png")


def main() -> None:
    """Start a server of its own, and take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nanoseg_bench", "serve", "--port", "0", "--no-browser", "--data-dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603, our own command
        try:
            address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
            photograph(address)
        finally:
            server.terminate()
            server.wait()


def photograph(address: str) -> None:
    """Ask for the example, wait for its intervals, and write the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.get_by_text("Try the example").first.click()
        page.get_by_text(re.compile("particles count")).first.wait_for(timeout=300_000)
        page.get_by_text(re.compile("95 %: [0-9]")).first.wait_for(timeout=300_000)
        page.screenshot(path=PICTURE)
        browser.close()
    Image.open(PICTURE).convert("RGB").quantize(192).save(PICTURE, optimize=True)  # a third of the bytes


if __name__ == "__main__":
    main()
