"""The machine-readable description of the C interface has the form that its schema says, and the generator of docs/bindings.md reads it."""

import ctypes
import json
import pathlib

import jsonschema
import pytest

import tenure

ROOT = pathlib.Path(__file__).parents[3]
API = json.loads((ROOT / "abi" / "api.json").read_text())


def test_description_fits_its_schema():
    schema = json.loads((ROOT / "abi" / "api.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    errors = [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(API)]
    assert not errors


def test_the_generator_of_the_page_binds_every_function():
    names = {}
    exec((ROOT / "docs" / "bindings.md").read_text().split("```python\n")[1].split("```")[0], names)
    c = names["Tenure"](ctypes.CDLL(tenure.get_library()), API)
    for struct in API["structs"]:
        assert ctypes.sizeof(c.structs[struct["name"]]) == struct["size"]
    array = c.tn_array_zeros(None, c.TN_F64, 1, (ctypes.c_int64 * 1)(3), None)
    info = c.structs["tn_array_info"](size=ctypes.sizeof(c.structs["tn_array_info"]))
    c.tn_array_query(array, ctypes.byref(info))
    assert (info.ndim, info.shape[0]) == (1, 3)
    promise = c.tn_array_give(array, 1)
    taken = (ctypes.c_void_p * 1)()
    c.tn_take(1, (ctypes.c_void_p * 1)(promise), taken)
    with pytest.raises(RuntimeError, match="tn_array_borrow_write"):
        c.tn_array_borrow_write(array, 0, None, None, None)
    guard = c.tn_array_borrow_write(taken[0], 0, None, None, None)
    c.tn_borrow_end(guard, 0, None)
    for handle in (array, taken[0]):
        c.tn_array_release(handle)
    c.tn_promise_release(promise)
