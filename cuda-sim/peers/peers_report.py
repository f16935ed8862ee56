"""A pytest plugin: one line of JSON for each test that begins or ends, so that a crash of the process names its test.

Loaded with `-p peers_report`; the environment's PEERS_REPORT names the file that is written. It also has the fixture that
numba-cuda's test cases ask for, which lies in a conftest.py that its wheel does not carry.
"""

import json
import os

import pytest


def write(**line):
    with open(os.environ["PEERS_REPORT"], "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


@pytest.fixture(scope="class")
def initialize_from_pytest_config(request):
    request.cls._dump_failed_filechecks = False


def pytest_runtest_logstart(nodeid, location):
    write(test=nodeid, event="begins")


def pytest_runtest_logreport(report):
    if report.outcome == "skipped":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
        write(test=report.nodeid, event="skipped", text=str(reason).removeprefix("Skipped: "))
    elif report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash else str(report.longrepr)
        write(test=report.nodeid, event="failed", text=text, whole=report.longreprtext[-6000:])


def pytest_runtest_logfinish(nodeid, location):
    write(test=nodeid, event="ends")


def pytest_collectreport(report):
    if report.failed:
        text = report.longreprtext
        write(test=report.nodeid or "collection", event="failed", text=text.strip().splitlines()[-1], whole=text[-6000:])
    elif report.outcome == "skipped":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        write(test=report.nodeid, event="skipped", text=str(reason).removeprefix("Skipped: "))
