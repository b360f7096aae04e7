"""``nanoseg-bench serve``: the web page."""

import argparse
import math
from pathlib import Path

from nanoseg_bench.cli.model_options import add_model_options, add_trust_pickle, add_views
from nanoseg_bench.cli.shipped import find_model
from nanoseg_bench.errors import UsageError
from nanoseg_bench.webapp.settings import DEFAULT_HOST, DEFAULT_KEEP_DAYS, DEFAULT_PORT, DEFAULT_SECONDS

_EPILOG = """\
examples:
  nanoseg-bench serve                                    http://127.0.0.1:8000, and opens the browser
  nanoseg-bench serve --model runs/mine/nsyolo-paper-seed0
  nanoseg-bench serve --host 0.0.0.0 --allow-host microscopy.example.org      for others in the house

Upload micrographs, see and correct particles and scale, and take Word, Excel, CSV, LabelMe and COCO files away. Nothing
leaves the machine that it runs on. What is uploaded is analysed one after the other, by a process of its own.

Uploads and results are kept in DIR, also when the server is stopped: the next one goes on with what waits. After
--keep-days they are deleted. Each browser sees what it uploaded, and nothing else.

With another --host than 127.0.0.1 everybody who reaches the machine can upload, and what they send is not encrypted:
put a proxy with HTTPS before it where that matters.

http://127.0.0.1:8000/api/v1/openapi.json describes the same for scripts.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "serve",
        help="measure micrographs in the browser: the web page",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser)
    parser.add_argument(
        "--host", default=DEFAULT_HOST, metavar="ADDRESS", help="address to listen at (default: %(default)s)"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        metavar="N",
        help="port to listen at; 0 for a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name that browsers may call the server by, such as a proxy's; may be repeated",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in the browser")
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where uploads and results are kept (default: nanoseg-bench/page in the user's folder for data)",
    )
    parser.add_argument(
        "--keep-days",
        type=float,
        default=DEFAULT_KEEP_DAYS,
        metavar="N",
        help="delete uploads and their results after so many days (default: %(default)g)",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=DEFAULT_SECONDS,
        metavar="S",
        help="seconds that the analysis of one micrograph may take (default: %(default)g)",
    )
    parser.add_argument(
        "--no-ocr",
        action="store_true",
        help="read no text in the images (default: read it where RapidOCR is installed)",
    )
    add_views(parser)
    add_trust_pickle(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port {arguments.port}: lies between 0 and 65535")
    for flag, number in (("--keep-days", arguments.keep_days), ("--time-limit", arguments.time_limit)):
        if not 0 < number < math.inf:
            raise UsageError(f"{flag} {number:g}: give a number above 0")
    from nanoseg_bench.extras import require_packages

    require_packages("serve", "flask", "waitress", "docx", "lxml", "pptx", "xlsxwriter")
    path = find_model(arguments.model, "give a run's folder, its weights, or an .onnx file").resolve()
    from nanoseg_bench.models.finished import require_finished
    from nanoseg_bench.webapp.serving import serve
    from nanoseg_bench.webapp.settings import Limits, ModelChoice, Settings, default_data_dir

    # What cannot be opened is told here, and not to those who upload.
    require_finished(path, trust_pickle=arguments.trust_pickle)
    settings = Settings(
        data_dir=(arguments.data_dir or default_data_dir()).absolute(),
        model=ModelChoice(
            path=path,
            engine=arguments.engine,
            device=arguments.device,
            trust_pickle=arguments.trust_pickle,
            views=arguments.views,
            read_text=False if arguments.no_ocr else None,
        ),
        keep_days=arguments.keep_days,
        host=arguments.host,
        names=tuple(arguments.allow_host),
        limits=Limits(seconds=arguments.time_limit),
    )

    def tell(url: str) -> None:
        print(f"nanoseg-bench: {url} (Ctrl-C ends it)", flush=True)
        if not arguments.no_browser:
            open_browser(url)

    serve(settings, arguments.port, tell)
    return 0


def open_browser(url: str) -> None:
    """Open the page where there is a browser; elsewhere the printed address is all that is needed."""
    import os
    import sys
    import threading
    import webbrowser

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return  # what would be opened is a browser in the terminal, which takes it away from the server
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
