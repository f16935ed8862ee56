#!/bin/sh
# Runs every CUDA test and benchmark of this folder. `run.sh [FOLDER]` writes the report into FOLDER, else into ./report. See README.md.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd) || exit 2
command -v "${PYTHON:-python3}" >/dev/null || { echo "run.sh: python3 is needed (or set PYTHON)" >&2; exit 2; }
exec "${PYTHON:-python3}" -B "$here/run.py" "$@"
