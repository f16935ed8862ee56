"""Removes from wheels what only a compiler reads: headers and sources. `slim_wheels.py WHEEL...` replaces the files."""

import sys
import zipfile

SOURCES = (".h", ".hpp", ".cuh", ".cmake", ".pxd", ".pyx", ".pxi", ".in")

for name in sys.argv[1:]:
    with zipfile.ZipFile(name) as wheel:
        kept = [entry for entry in wheel.infolist() if "/include/" not in entry.filename and not entry.filename.endswith(SOURCES)]
        files = [(entry.filename, wheel.read(entry)) for entry in kept]
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for path, content in files:
            wheel.writestr(path, content)
