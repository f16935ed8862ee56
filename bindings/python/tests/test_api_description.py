"""The machine-readable description of the C interface has the form that its schema says."""

import json
import pathlib

import jsonschema

FOLDER = pathlib.Path(__file__).parents[3] / "abi"


def test_description_fits_its_schema():
    schema = json.loads((FOLDER / "api.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    description = json.loads((FOLDER / "api.json").read_text())
    errors = [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(description)]
    assert not errors
