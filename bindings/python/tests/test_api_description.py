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


@pytest.fixture(name="c", scope="module")
def generated():
    """The functions that the generator of docs/bindings.md makes."""
    names = {}
    exec((ROOT / "docs" / "bindings.md").read_text().split("```python\n")[1].split("```")[0], names)
    return names["Tenure"](ctypes.CDLL(tenure.get_library()), API)


def test_the_generator_of_the_page_binds_every_function(c):
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


def is_pointer(parameter):
    return "pointer_to" in parameter["type"] or parameter["type"].get("kind") == "callback"


def failure(c, function, value_of):
    """The status and the message of a call."""
    types = [c.type_of(parameter["type"]) for parameter in function["parameters"]]
    values = [value_of(parameter, kind) for parameter, kind in zip(function["parameters"], types)]
    status = getattr(c.library, function["name"])(*values)
    return status, ctypes.string_at(c.library.tn_last_error()).decode()


# Whether an address belongs to a block is found out without reading it, so NULL is an address as others are.
ADDRESSES = {"tn_pool_record_use", "tn_pool_of", "tn_pool_usable_size"}
# They accept NULL for `ptr` after the array was found to have no elements.
WITHOUT_ELEMENTS = {"tn_array_copy_to_host", "tn_array_copy_from_host"}


def test_nullable_is_what_the_library_does(c):
    """With NULL for every pointer, a call names the leftmost parameter that must not be NULL. With a value for just these, it names none."""
    checked, wrong = 0, []
    somewhere = (ctypes.c_uint8 * 65536)()
    for function in API["functions"]:
        required = [one for one in function["parameters"] if is_pointer(one) and not one["nullable"]]
        if function["returns"]["type"].get("name") != "tn_status" or not required or function["name"] in ADDRESSES:
            continue
        checked += 1
        status, message = failure(c, function, lambda _, kind: None if kind is ctypes.c_void_p else kind())
        if status != c.TN_ERR_NULL or f": {required[0]['name']} is NULL" not in message:
            wrong.append(message)

        def given(one, kind):
            needed = is_pointer(one) and not one["nullable"]
            return ctypes.addressof(somewhere) if needed else None if kind is ctypes.c_void_p else kind()

        # A wrong handle ends the call before it does anything.
        takes_handle = any(one["direction"] == "in" and is_handle(one["type"]) for one in required)
        if takes_handle and function["name"] not in WITHOUT_ELEMENTS:
            status, message = failure(c, function, given)
            if status in (c.TN_OK, c.TN_ERR_NULL):
                wrong.append(f"{status}: {message}")
    assert checked > 140 and not wrong


def is_handle(described):
    return described.get("pointer_to", {}).get("kind") == "handle"
