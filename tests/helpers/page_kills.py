"""Kill the web page's server and worker at random moments while a script uploads; what became of each upload."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import requests
from page_server import Process, Script


@dataclass
class Outcome:
    """What became of it.

    Attributes:
        kills: By what was killed.
        accepted: Ids that the script was told of, in order.
        states: Of all micrographs of the session, by id.
        reasons: Of those that failed.
        unanswered: Uploads that the script was told nothing of, since the server was killed meanwhile.
    """

    kills: Counter = field(default_factory=Counter)
    accepted: list = field(default_factory=list)
    states: dict = field(default_factory=dict)
    reasons: set = field(default_factory=set)
    unanswered: int = 0


def kill_at_random(folder, model, picture, *, kills, seed, longest=2.0, more=()):
    """Upload all the time, kill so many times, start again, and wait for the end.

    Args:
        folder: Of the server.
        model: What finds the particles.
        picture: Bytes of a PNG.
        kills: How many moments.
        seed: Of the moments.
        longest: Seconds between two.
        more: Arguments of serve.
    """
    moments = random.Random(seed)
    outcome = Outcome()
    server = Process(folder, model, 0, *more)
    port, script = server.port, Script(server.address)
    stops = threading.Event()
    uploader = threading.Thread(target=_upload, args=(script, picture, stops, outcome))
    uploader.start()
    try:
        for number in range(kills):
            time.sleep(moments.uniform(0, longest))
            worker = server.worker()
            if number % 2 and worker is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
                outcome.kills["worker"] += 1
            else:
                server.kill()
                outcome.kills["server"] += 1
                server = _again(folder, model, port, *more)
    finally:
        stops.set()
        uploader.join()
    try:
        for each in script.wait(1800):
            outcome.states[each["id"]] = each["status"]
            if each["status"] == "failed":
                outcome.reasons.add(each["reason"])
        for id_, state in outcome.states.items():
            if state == "done":
                detail = script.get(f"/micrographs/{id_}")
                assert detail.status_code == 200 and detail.json()["outlines"], detail.text
    finally:
        server.end()
    return outcome


def _again(folder, model, port, *more):
    """The server once more; the port is free when the killed one's connections are gone."""
    for _ in range(100):
        try:
            return Process(folder, model, port, *more)
        except AssertionError as error:
            if "another nanoseg-bench serve" not in str(error) and "cannot be listened" not in str(error):
                raise
            time.sleep(0.1)
    raise AssertionError("the server did not start again")


def _upload(script, picture, stops, outcome):
    number = 0
    while not stops.is_set():
        number += 1
        try:
            answer = script.upload((f"{number}.png", picture))
        except requests.RequestException:
            outcome.unanswered += 1
            time.sleep(0.05)
            continue
        outcome.accepted += [each["id"] for each in answer["micrographs"]]
        time.sleep(0.15)
