"""JUnit's XML, which every CI server reads: a test case per figure."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

# What XML 1.0 cannot hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """suite: what the case belongs to, its class name. outcome: a word; message: one line."""

    suite: str
    name: str
    outcome: str
    message: str


def document(name: str, cases: Sequence[Case], failed: Container[str], skipped: Container[str]) -> str:
    """The XML of one test suite; the outcomes in `failed` and `skipped` are marked so."""
    suite = ElementTree.Element("testsuite", {"name": _legal(name), "tests": str(len(cases))})
    suite.set("failures", str(sum(case.outcome in failed for case in cases)))
    suite.set("skipped", str(sum(case.outcome in skipped for case in cases)))
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", {"classname": _legal(case.suite), "name": _legal(case.name)}
        )
        message = _legal(f"{case.outcome}: {case.message}")
        if case.outcome in failed:
            ElementTree.SubElement(element, "failure", {"message": message}).text = message
        elif case.outcome in skipped:
            ElementTree.SubElement(element, "skipped", {"message": message})
    ElementTree.indent(suite)
    root = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}'


def _legal(text: str) -> str:
    return _ILLEGAL.sub("?", text)
