"""Long answers go over the wire compressed: the detail of a micrograph of thousands of outlines has some megabytes."""

import gzip

from flask import Flask, Response, request

LEAST_BYTES = 32 * 2**10
"""Below this nothing is gained."""

_LEVEL = 6


def register_compression(app: Flask) -> None:
    """Compress JSON of ``LEAST_BYTES`` or more with gzip for whoever takes it.

    Pictures and files of Office are compressed already. No secret can be guessed from the length of an answer (BREACH,
    CVE-2013-3587): the one that holds the token of the session is shorter, and has nothing in it that others write.
    """

    @app.after_request
    def _compress(response: Response) -> Response:
        if response.mimetype != "application/json" or (response.content_length or 0) < LEAST_BYTES:
            return response
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"] > 0:
            response.set_data(gzip.compress(response.get_data(), compresslevel=_LEVEL, mtime=0))
            response.content_encoding = "gzip"
        return response
