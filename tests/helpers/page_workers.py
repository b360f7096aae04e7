"""Workers of the web page that do as a file's name says, for tests of the queue: they end in every way there is."""

import os
import signal
import time

from nanoseg_bench.webapp.worker import Done, Failed, Ready, Trouble

OVERVIEW = {"width": 4, "height": 3, "particles": 2, "unit": "px", "d50": 1.5, "nm_per_px": None, "scale_sure": False}
MODEL = {"title": "By name", "classes": ["particle"], "method": {"model": "By name", "confidence": 0.5}}


def by_name(pipe, choice, limits):
    """``hang`` never answers, ``die`` is killed each time, ``die-once`` the first time, ``fail`` fails."""
    pipe.send(Ready(MODEL))
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        log = task.original.parent.parent.parent / "order.txt"
        with log.open("a") as file:
            file.write(f"{task.name}\n")
        if task.name.startswith("hang"):
            time.sleep(600)
        if task.name.startswith("die-once") and not (task.original.parent / "died").exists():
            (task.original.parent / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if task.name.startswith("die.") or task.name.startswith("die-always"):
            os.kill(os.getpid(), signal.SIGKILL)
        if task.name.startswith("fail"):
            pipe.send(Failed("as its name says"))
        else:
            pipe.send(Done(OVERVIEW))


def without_model(pipe, choice, limits):
    """The model cannot be opened."""
    pipe.send(Trouble("there is no model"))


def ends_at_once(pipe, choice, limits):
    """As a process does that lacks memory for the model."""
    os.kill(os.getpid(), signal.SIGKILL)
