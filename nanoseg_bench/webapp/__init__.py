"""The web page: uploads in, particles, sizes and reports out; measured by ``measure`` and told by ``report``.

A web process (Flask, served by waitress) answers the page and scripts; it never opens a model. One worker process,
which holds the model, analyses what waits, in order. Both know the same folder: a SQLite file with sessions and
micrographs, and a folder for each micrograph. A kill of either at any moment leaves each accepted upload waiting, done,
or told as failed.
"""
