"""A reader process for tests: what it does follows from the file's name. Run with ``python -m``."""

from __future__ import annotations

import faulthandler
import os
import sys
import time

from ingestion import reader_process
from ingestion.copying import prepare
from ingestion.model import FileReading
from ingestion.reader_process import Answer
from tests.integration.readings import form_reading


def read(question, pseudonyms):
    kind = question.name.split(".")[0]
    if kind == "crash":
        faulthandler.disable()  # a forked reader has pytest's, whose trace would fill the suite's output
        os.abort()
    if kind == "hang":
        time.sleep(60)
    if kind == "busy":
        while True:
            pass
    if kind == "noise":
        print("a library prints something")
        sys.stdout.flush()
    if kind == "slow":  # overtaken by those after it
        time.sleep(0.5)
    channel = "procurement"
    form = form_reading("COP03", "2020-W22", {"channel": [channel], "sales": [1], "poor_persons_benefited": [1]})
    form.change_note = question.name
    return Answer(prepare(FileReading(question.name, "0" * 64, 1, [form]), pseudonyms))


if __name__ == "__main__":
    reader_process.serve(read)
