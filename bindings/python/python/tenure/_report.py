"""The readable report: who holds what, by library, name and call site. Formats the output of ``tn_report_json``; changes nothing."""

from __future__ import annotations

import collections
import os
import sys
from typing import Any, Iterable, TextIO

from . import _tenure

_KINDS = {
    "handle": "array",
    "export_read": "exported read-only",
    "export_shared": "shared with another library",
    "export_exclusive": "exported exclusively",
    "guard_read": "being read",
    "guard_write": "being written",
    "block": "block",
    "weak": "weak handle",
    "queued_release": "release queued for run_releases",
}
"""Texts for the kinds of holders whose own name is not clear enough."""


def snapshot() -> dict[str, Any]:
    """The current pools, stores and their holders: the output of ``tn_report_json`` as a dictionary.

    It has ``pools``, ``stores`` with their holders, raw ``blocks`` by call site, other handles that are ``open``, and
    ``copies``. The project's ``docs/report.schema.json`` describes each field.

    >>> store, = [s for s in tenure.snapshot()["stores"] if any(h["name"] == "x" for h in s["holders"])]
    >>> store["bytes"]
    48
    """
    import gc

    collects = gc.isenabled()
    # The collector would walk the unfinished dictionaries, which have no cycles, again and again.
    gc.disable()
    try:
        return _tenure._report()
    finally:
        if collects:
            gc.enable()


class Report(dict[str, Any]):
    """What ``report`` found: the dictionary of ``snapshot``, which can be saved as a page for a browser."""

    def __init__(self, found: dict[str, Any], page: str) -> None:
        super().__init__(found)
        self._page = page

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves what was found, as of the call of ``report``: a page for a browser if the path ends with ".html", or JSON if it ends
        with ".json". The page is one file that loads nothing. It shows a map of the memory, the arrays with their holders, copies
        and pools. An old file is replaced in one step.

        >>> import io, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tenure.report(io.StringIO()).save(f"{folder}/memory.html")
        """
        import json
        import pathlib

        path = pathlib.Path(path)
        if path.suffix not in (".html", ".json"):
            raise ValueError(f"save writes .html or .json, not {path.name!r}")
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            beside.write_text(self._page if path.suffix == ".html" else json.dumps(self), encoding="utf-8")
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def __repr__(self) -> str:
        held = sum(pool["stats"]["in_use_bytes"] for pool in self["pools"])
        return f"<tenure.Report of process {self['process']}: {size(held)} in use; save(\"memory.html\") shows it in a browser>"


def report(file: TextIO | None = None, *, limit: int = 10) -> Report:
    """Prints who holds what: pools with the libraries that allocate from them, the largest arrays with all holders and the
    lines that made them, raw memory by line, and copies.

    file: the output; None is ``sys.stdout``. limit: lines of each list. If ``tracemalloc`` runs (``tracemalloc.start(8)``),
    all of NumPy's memory is also listed by line. The result has all of it as a dictionary, and can be saved as a page for a
    browser: ``tenure.report().save("memory.html")``.

    >>> tenure.report()                           # doctest: +ELLIPSIS
    tenure ...
    """
    found = Report(snapshot(), _tenure._report_html())
    print("\n".join(_lines(found, limit)), file=sys.stdout if file is None else file)
    return found


def size(number: int) -> str:
    """A readable number of bytes: "1.5 GiB"."""
    if number < 1024:
        return f"{number} bytes" if number != 1 else "1 byte"
    amount = float(number)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if amount < 1000:
            return f"{amount:.3g} {unit}"
    return f"{amount / 1024:.3g} TiB"


def _number(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _listed(lines: list[str], limit: int) -> Iterable[str]:
    yield from (f"  {line}" for line in lines[:limit])
    if len(lines) > limit:
        yield f"  and {len(lines) - limit} more"


def _lines(data: dict[str, Any], limit: int) -> Iterable[str]:
    stores, blocks, copies = data["stores"], data["blocks"], data["copies"]
    yield f"tenure {'.'.join(map(str, data['version']))}, process {data['process']}"
    yield from _libraries(data["libraries"])
    pools = {pool["id"]: pool for pool in data["pools"]}
    for pool in sorted(pools.values(), key=lambda pool: -pool["stats"]["in_use_bytes"]):
        yield from ("", *_pool(pool))
    yield ""
    yield f"arrays: {size(sum(s['bytes'] for s in stores))} in {_number(len(stores), 'store')}"
    yield from _listed([_store(s, pools) for s in sorted(stores, key=lambda s: -s["bytes"])], limit)
    if blocks:
        yield ""
        yield f"raw memory: {size(sum(b['bytes'] for b in blocks))} in {_number(sum(b['blocks'] for b in blocks), 'block')}"
        yield from _listed([_raw(b, pools) for b in sorted(blocks, key=lambda b: -b["bytes"])], limit)
    if out := data["shared_out"]:
        yield ""
        yield f"freed here, and kept for other processes: {size(sum(o['bytes'] for o in out))}"
        yield from _listed([_shared_out(o) for o in sorted(out, key=lambda o: -o["bytes"])], limit)
    if mapped := data["shared_in"]:
        yield ""
        yield f"of other processes, mapped here: {size(sum(m['bytes'] for m in mapped))}"
        yield from _listed([_shared_in(m) for m in sorted(mapped, key=lambda m: -m["bytes"])], limit)
    yield from _numpy(limit)
    if copies:
        yield ""
        yield f"copies: {size(sum(c['bytes'] for c in copies))}"
        yield from _listed([_copy(c) for c in copies], limit)
    if beside := [h for h in data["open"] if h["kind"] != "pool"]:
        yield ""
        yield f"also open: {_holders(beside)}"


def _libraries(libraries: list[dict[str, Any]]) -> Iterable[str]:
    """Warns of other copies of the library in the process."""
    if len(libraries) < 2:
        return
    yield ""
    yield f"{len(libraries)} copies of the library in this process; handles of one are stale in another:"
    for copy in libraries:
        notes = ", this report" if copy["this"] else ", has made no handle" if copy["first_generation"] is None else ""
        yield f"  {copy['path'] or 'unknown file'}, version {'.'.join(map(str, copy['version']))}{notes}"


def _pool(pool: dict[str, Any]) -> Iterable[str]:
    s = pool["stats"]
    limit = f", limit {size(s['limit_bytes'])}" if s["limit_bytes"] else ""
    failed = f", {_number(s['oom_count'], 'request')} ran out of memory" if s["oom_count"] else ""
    spilled = f", {size(s['spilled_bytes'])} spilled to files" if s["spilled_bytes"] else ""
    released = ", released" if pool["released"] else ""
    yield (
        f"pool \"{pool['name']}\" on {pool['device']}{released}: {size(s['in_use_bytes'])} in use, "
        f"peak {size(s['peak_in_use_bytes'])}, {size(s['reserved_bytes'])} from the system{spilled}{limit}{failed}"
    )
    for client in sorted(pool["clients"], key=lambda client: -client["live_bytes"]):
        misuse = f", {_number(client['misuse_count'], 'wrong free')} refused" if client["misuse_count"] else ""
        yield (
            f"  {client['name']:<8}  {size(client['live_bytes']):>10} in {_number(client['live_blocks'], 'block')}, "
            f"peak {size(client['peak_bytes'])}{misuse}"
        )


def _store(store: dict[str, Any], pools: dict[int, Any]) -> str:
    if store["pool"] is not None:
        pool = pools.get(store["pool"])
        place = f"; in pool \"{pool['name']}\"" if pool and len(pools) > 1 else ""
    else:
        place = "; a mapped file" if "file" in store["flags"] else "; of another library" if store["imports"] else ""
    marks = "".join(f"; {flag}" for flag in store["flags"] if flag not in ("foreign", "file"))
    return f"{size(store['bytes']):>10}  {_holders(store['holders'])}{place}{marks}"


def _holders(holders: list[dict[str, Any]]) -> str:
    """Lists holders; those of equal kind, name and site count as one. The most informative ones come first."""
    same = collections.Counter((h["kind"], h["name"], h["site"]) for h in holders)
    texts: list[str] = []
    known: set[str] = set()
    for (kind, name, site), n in sorted(same.items(), key=lambda item: (item[0][0] != "handle", not item[0][1], not item[0][2])):
        text = _KINDS.get(kind, kind.replace("_", " "))
        if n > 1:
            text = f"{n} {text}s" if kind in ("handle", "weak", "promise") else f"{n} times {text}"
        # Guards and exports have the name of their array, which is printed already.
        text += f' "{name}"' if name and name not in known else ""
        known.add(name)
        # The site is a file of the library whose Python code made the export, or otherwise the line that called.
        if (library := _library(site)) and kind.startswith("export"):
            text = text.replace("another library", library)
        texts.append(text + (f" at {site}" if site else ""))
    most = 6
    more = f", and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _library(site: str) -> str | None:
    """The installed package that a file belongs to, if any."""
    _, found, rest = site.rpartition("-packages/")
    return rest.split("/")[0] if found and "/" in rest else None


def _raw(blocks: dict[str, Any], pools: dict[int, Any]) -> str:
    pool = pools.get(blocks["pool"])
    where = f" in pool \"{pool['name']}\"" if pool and len(pools) > 1 else ""
    site = f" at {blocks['site']}" if blocks["site"] else ""
    who = "" if blocks["client"] in ("raw", "any") else f" of {blocks['client']}"
    return f"{size(blocks['bytes']):>10} in {_number(blocks['blocks'], 'block')}{who}{where}{site}"


def _shared_out(out: dict[str, Any]) -> str:
    name = f" \"{out['name']}\"" if out["name"] else ""
    # 0: nobody yet, for a file descriptor on its way.
    who = ", ".join(f"process {number}" if number else "an open file descriptor" for number in sorted(out["importers"]))
    return f"{size(out['bytes']):>10}{name} on {out['device']}" + (f": {who}" if who else ", free at the next call")


def _shared_in(mapped: dict[str, Any]) -> str:
    state = {True: "", False: ", which has ended", None: ", of which nothing is known"}[mapped["running"]]
    access = "" if mapped["writable"] else ", read-only"
    return f"{size(mapped['bytes']):>10} of process {mapped['process']}{state}{access}"


def _copy(copy: dict[str, Any]) -> str:
    why = "requested" if not copy["forced"] else f"because of {', '.join(copy['why']).replace('_', ' ') or 'the caller'}"
    site = f" at {copy['site']}" if copy["site"] else ""
    return f"{size(copy['bytes']):>10} in {_number(copy['count'], 'copy').replace('copys', 'copies')}{site}: {copy['function']}, {why}"


def _numpy(limit: int) -> Iterable[str]:
    """NumPy's memory by line, which only Python knows, and only while tracemalloc runs."""
    import tracemalloc

    if not tracemalloc.is_tracing():
        return
    import numpy

    inside = numpy.__path__[0]
    domain = tracemalloc.DomainFilter(True, numpy.lib.tracemalloc_domain)
    lines: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for trace in tracemalloc.take_snapshot().filter_traces([domain]).traces:
        # The line that called NumPy, if enough frames are kept: tracemalloc.start(8).
        frames = [frame for frame in reversed(trace.traceback) if not frame.filename.startswith(inside)]
        frame = (frames or list(trace.traceback))[0]
        line = lines[f"{frame.filename}:{frame.lineno}"[-63:]]
        line[0] += trace.size
        line[1] += 1
    if lines:
        yield ""
        yield f"NumPy by line: {size(sum(line[0] for line in lines.values()))}, from tracemalloc"
        largest = sorted(lines.items(), key=lambda item: -item[1][0])
        yield from _listed([f"{size(b):>10} in {_number(n, 'block')} at {site}" for site, (b, n) in largest], limit)
