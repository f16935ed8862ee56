"""The package as a whole: one library with C, the stubs, the end of the interpreter."""

import ast
import ctypes
import inspect
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap

import pytest

import tenure

FOLDER = os.path.dirname(tenure.__file__)


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=1200,
    )
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    return done.stdout


def test_version_and_files():
    assert tenure.version == tenure.__version__ == "0.1.0"
    assert os.path.exists(tenure.get_library()) and tenure.get_library().endswith("libtenure.so.0")


def test_the_module_contains_no_copy_of_the_library():
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not installed")
    symbols = subprocess.run([nm, "-D", tenure._tenure.__file__], capture_output=True, text=True, check=True).stdout
    ours = [line.split() for line in symbols.split("\n") if " tn_" in line]
    assert ours and all(parts[0] == "U" for parts in ours)


# A C library linked with libtenure.so.0 and loaded after the import works on the same handles.
def test_c_code_shares_the_handles(tmp_path):
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("no C compiler is installed")
    header = os.path.join(tenure.get_include(), "tenure.h")
    if not os.path.exists(header):
        pytest.skip("the wheel that is installed carries no header")
    (tmp_path / "c.c").write_text(
        """
        #include <tenure.h>
        uint64_t make(void) {
            tn_array *array = 0;
            int64_t shape[2] = {2, 3};
            double value = 2.5;
            tn_here("c.c", 7);
            if (tn_array_full(0, TN_F64, 2, shape, &value, 0, &array) != TN_OK) return 0;
            tn_array_set_name(array, "made in C");
            return (uint64_t)array;
        }
        tn_status add_one(tn_array *array) {
            double *data;
            tn_borrow *guard;
            tn_status status = tn_array_borrow_write(array, 0, 0, (void **)&data, 0, &guard);
            if (status != TN_OK) return status;
            data[0] += 1.0;
            return tn_borrow_end(guard, 0, 0);
        }
        """
    )
    (tmp_path / "lib").mkdir()
    os.symlink(tenure.get_library(), tmp_path / "lib" / "libtenure.so")
    command = [gcc, "-shared", "-fPIC", "-Wall", "-Werror", "-I", tenure.get_include(), "c.c", "-o", "libc_part.so"]
    subprocess.run([*command, "-L", "lib", "-ltenure"], cwd=tmp_path, check=True)  # no rpath: the loader has it already
    library = ctypes.CDLL(str(tmp_path / "libc_part.so"))
    library.make.restype = ctypes.c_uint64
    x = tenure.from_handle(library.make())
    assert x.name == "made in C" and x.tolist() == [[2.5] * 3] * 2
    assert library.add_one(x) == 0 and x[0, 0] == 3.5
    with x.read():
        status = library.add_one(x)
        with pytest.raises(tenure.OwnershipError, match="made in C") as caught:
            tenure.check(status)
        assert caught.value.status == tenure.Status.BORROWED
    paths = {line.rstrip().split(maxsplit=5)[-1] for line in open("/proc/self/maps")}
    mapped = {path for path in paths if os.path.basename(path).startswith("libtenure.so")}
    assert len(mapped) == 1, mapped


# A module with Python's C API, built against the installed package only: the pattern of docs/quickstart-c.md.
def test_a_c_extension_shares_handles(tmp_path):
    gcc = shutil.which("gcc") or shutil.which("cc")
    include = sysconfig.get_path("include")
    if gcc is None or not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip("no C compiler, or no Python.h (on Debian: python3-dev)")
    (tmp_path / "extension.c").write_text(
        """
        #define Py_LIMITED_API 0x030b0000
        #include <Python.h>
        #include <tenure.h>

        static PyObject *raised(void) { PyErr_SetString(PyExc_RuntimeError, tn_last_error()); return NULL; }

        /* Doubles the elements of an array that Python lends: scale(x.handle). */
        static PyObject *scale(PyObject *module, PyObject *handle)
        {
            tn_array *array = (tn_array *)PyLong_AsUnsignedLongLong(handle);
            tn_borrow *guard;
            tn_view_info view;
            (void)module;
            if (PyErr_Occurred()) return NULL;
            TN_HERE;
            if (tn_array_borrow_write(array, 0, NULL, NULL, &view, &guard) != TN_OK) return raised();
            for (int64_t i = 0; i < view.shape[0]; i++)
                *(double *)((char *)view.data + i * view.strides[0]) *= 2;
            tn_borrow_end(guard, 0, NULL);
            tn_here(NULL, 0);
            Py_RETURN_NONE;
        }

        /* An array that C makes and keeps a second handle of: make(n) -> handle for tenure.from_handle. */
        static tn_array *kept;
        static PyObject *make(PyObject *module, PyObject *length)
        {
            int64_t shape[1] = {PyLong_AsLongLong(length)};
            tn_array *array;
            (void)module;
            if (PyErr_Occurred()) return NULL;
            TN_HERE;
            if (tn_array_zeros(NULL, TN_F64, 1, shape, NULL, &array) != TN_OK) return raised();
            tn_array_set_name(array, "of the extension");
            if (tn_array_clone(array, &kept) != TN_OK) return raised();
            tn_here(NULL, 0);
            return PyLong_FromUnsignedLongLong((unsigned long long)array);
        }

        static PyObject *let_go(PyObject *module, PyObject *nothing)
        {
            (void)module; (void)nothing;
            return PyLong_FromLong(tn_array_release(kept));
        }

        static PyMethodDef methods[] = {
            {"scale", scale, METH_O, NULL}, {"make", make, METH_O, NULL}, {"let_go", let_go, METH_NOARGS, NULL},
            {NULL, NULL, 0, NULL},
        };
        static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "extension", NULL, -1, methods, NULL, NULL, NULL, NULL};
        PyMODINIT_FUNC PyInit_extension(void) { return PyModule_Create(&definition); }
        """
    )
    library = tenure.get_library()
    command = [gcc, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-I", include, "-I", tenure.get_include()]
    command += ["extension.c", "-o", "extension.abi3.so", "-L", os.path.dirname(library), f"-l:{os.path.basename(library)}"]
    subprocess.run(command, cwd=tmp_path, check=True)
    out = run(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import tenure                # first: it loads the library that the extension needs
        import extension
        x = tenure.ones(6, name="x")
        view = x[::2]
        extension.scale(view.handle)
        assert x.tolist() == [2, 1, 2, 1, 2, 1]
        with x.read():
            try:
                extension.scale(x.handle)
            except RuntimeError as error:
                assert '"x" is borrowed' in str(error), error
        y = tenure.from_handle(extension.make(1000))
        holders = [(h.kind.name, h.name, h.site.rsplit("/")[-1][:11]) for h in tenure.owner_of(y).holders]
        assert holders == [("HANDLE", "of the extension", "extension.c")] * 2, holders
        assert not y.is_unique
        assert extension.let_go() == 0 and y.is_unique
        y.release()
        x.release(); view.release()
        assert not [h for h in tenure.leaks() if h.kind.name == "HANDLE"], tenure.leaks()
        print("shared")
        """
    )
    assert out == "shared\n"


def installed_library(tmp_path):
    """The library in another folder, as an installation beside the package has it."""
    path = tmp_path / "libtenure.so.0"
    shutil.copyfile(tenure.get_library(), path)
    return str(path)


def test_a_library_that_c_code_loaded_first_is_used(tmp_path):
    path = installed_library(tmp_path)
    out = run(
        f"""
        import ctypes
        first = ctypes.CDLL({path!r})
        import tenure
        assert tenure.get_library() == {path!r}, tenure.get_library()
        x = tenure.zeros(3)
        first.tn_array_release.argtypes = [ctypes.c_uint64]
        assert first.tn_array_release(x.detach()) == tenure.Status.OK
        assert [copy["path"] for copy in tenure.snapshot()["libraries"]] == [{path!r}]
        tenure.report()
        """
    )
    assert "copies of the library" not in out


def test_a_second_copy_of_the_library_is_named(tmp_path):
    path = installed_library(tmp_path)
    out = run(
        f"""
        import ctypes, tenure
        second = ctypes.CDLL({path!r})
        x = tenure.zeros(3, name="x")
        second.tn_array_release.argtypes = [ctypes.c_uint64]
        second.tn_last_error.restype = ctypes.c_char_p
        assert second.tn_array_release(x.handle) == tenure.Status.STALE
        text = second.tn_last_error().decode()
        assert "another copy" in text and tenure.get_library() in text, text
        paths = {{copy["path"]: copy["this"] for copy in tenure.snapshot()["libraries"]}}
        assert paths == {{tenure.get_library(): True, {path!r}: False}}, paths
        x.release()
        tenure.report()
        """
    )
    assert "2 copies of the library" in out and path in out


def test_an_old_library_that_c_code_loaded_first_is_refused(tmp_path):
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("no C compiler is installed")
    (tmp_path / "old.c").write_text("unsigned tn_version(void) { return 9; }")
    command = [gcc, "-shared", "-fPIC", "-Wl,-soname,libtenure.so.0", "old.c", "-o", "libtenure.so.0.old"]
    subprocess.run(command, cwd=tmp_path, check=True)
    path = str(tmp_path / "libtenure.so.0.old")
    out = run(
        f"""
        import ctypes
        ctypes.CDLL({path!r})
        try:
            import tenure
        except ImportError as error:
            print(error)
        """
    )
    assert "libtenure 0.0.9" in out and path in out and "0.1.0 or newer" in out, out


def test_the_wheel_carries_the_headers():
    for name, part in [
        ("tenure.h", "tn_array_release"),
        ("tenure.hpp", "tn_array_release"),
        ("tenure_memory.hpp", "tn_cpp_allocate"),
        ("tenure_kernel.cuh", "tn_block_at"),
        ("tenure_kernel_host.hpp", "TN_HOST_KERNEL"),
    ]:
        with open(os.path.join(tenure.get_include(), name)) as header:
            assert part in header.read(), name


def parameters(function):
    """The names of the parameters of a function in a stub."""
    of = function.args
    several = [of.vararg] if of.vararg else []
    return [a.arg for a in (*of.posonlyargs, *of.args, *several, *of.kwonlyargs)]


def test_the_stubs_match_the_package():
    tree = ast.parse(open(os.path.join(FOLDER, "__init__.pyi")).read())
    top = {n.name: n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    names = set(top) | {n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            names |= {a.name for a in node.names}
            for a in node.names if node.module else ():
                assert getattr(sys.modules[f"tenure.{node.module}"], a.name) is getattr(tenure, a.name), a.name
    missing = [name for name in tenure.__all__ if name not in names]
    assert not missing
    for name in ("Array", "Pool", "Runner", "Promise", "Weak", "Borrow", "Kernel"):
        stubbed = {n.name for n in top[name].body if isinstance(n, ast.FunctionDef)}
        real = {m for m in vars(getattr(tenure, name)) if not m.startswith("__")}
        assert real <= stubbed, (name, real - stubbed)
        assert {m for m in stubbed if not m.startswith("__")} <= real, (name, stubbed - real)
    for name, node in top.items():
        once = [n.name for n in node.body if isinstance(n, ast.FunctionDef) and not n.decorator_list]
        assert len(once) == len(set(once)), (name, [n for n in once if once.count(n) > 1])
    functions = {m for m in vars(tenure.Function) if not m.startswith("_")}
    assert functions == {n.name for n in top["Function"].body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}
    for name in ("In", "Out", "Update"):
        made = next(n for n in top[name].body if isinstance(n, ast.FunctionDef) and n.name == "__init__").args
        stub = [a.arg for a in (*made.args[1:], *made.kwonlyargs)]
        assert stub == list(inspect.signature(getattr(tenure, name)).parameters), name
    for name, node in top.items():
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            assert parameters(node) == list(inspect.signature(getattr(tenure, name)).parameters), name


def test_the_stubs_of_cuda_match_it():
    tree = ast.parse(open(os.path.join(FOLDER, "cuda.pyi")).read())
    top = {n.name: n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    top |= {n.targets[0].id: n for n in tree.body if isinstance(n, ast.Assign)}
    assert set(tenure.cuda.__all__) <= set(top)
    for name in tenure.cuda.__all__:
        real, stub = getattr(tenure.cuda, name), top[name]
        assert inspect.getdoc(real), name
        if isinstance(stub, ast.FunctionDef) and inspect.isfunction(real):
            assert parameters(stub) == list(inspect.signature(real).parameters), name
    for name in ("Stream", "Event", "Module"):
        stubbed = {n.name for n in top[name].body if isinstance(n, ast.FunctionDef) and not n.name.startswith("__")}
        assert stubbed == {m for m in vars(getattr(tenure.cuda, name)) if not m.startswith("__")}, name


def test_everything_is_documented():
    for name in tenure.__all__:
        thing = getattr(tenure, name)
        if callable(thing):
            assert inspect.getdoc(thing), name
    for name, member in vars(tenure.Array).items():
        if not name.startswith("_"):
            assert inspect.getdoc(member), name


# PY-9: nothing raises or crashes when the interpreter ends with live objects
def test_the_end_of_the_interpreter():
    out = run(
        """
        import threading, numpy, tenure
        x = tenure.zeros(1000, name="global")
        n = numpy.asarray(x)
        y = tenure.asarray(numpy.arange(1000.0))
        view = y[1:]
        weak = x.weak()
        capsule = x.__dlpack__()
        pool = tenure.Pool(name="alive")
        pool.__enter__()
        z = tenure.empty(3)
        borrow = z.read()
        held = borrow.__enter__()
        class Cycle: pass
        cycle = Cycle(); cycle.me = cycle; cycle.array = tenure.zeros(10)
        local = threading.local(); local.array = tenure.zeros(10)
        started = threading.Event()
        def daemon():
            mine = tenure.asarray(bytearray(100))
            while True:
                w = tenure.zeros(100); w[1:].fill(1); started.set()
        threading.Thread(target=daemon, daemon=True).start()
        started.wait()
        print("end")
        """
    )
    assert out == "end\n"


# XC-8, CA-27: an import that outlives the interpreter is left alone
def test_c_code_may_release_after_the_interpreter_ended(tmp_path):
    gcc = shutil.which("gcc") or shutil.which("cc")
    header = os.path.join(tenure.get_include(), "tenure.h")
    if gcc is None or not os.path.exists(header):
        pytest.skip("needs a C compiler and the header")
    (tmp_path / "late.c").write_text(
        """
        #include <tenure.h>
        #include <stdio.h>
        #include <stdlib.h>
        static tn_array *kept;
        static void late(void) { printf("released: %d\\n", tn_array_release(kept)); fflush(stdout); }
        void keep(uint64_t id) { kept = (tn_array *)id; atexit(late); }
        """
    )
    (tmp_path / "lib").mkdir()
    os.symlink(tenure.get_library(), tmp_path / "lib" / "libtenure.so")
    command = [
        gcc,
        "-shared",
        "-fPIC",
        "-I",
        tenure.get_include(),
        "late.c",
        "-o",
        "liblate.so",
        "-L",
        "lib",
        "-ltenure",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    out = run(
        f"""
        import ctypes, tenure
        library = ctypes.CDLL({str(tmp_path / "liblate.so")!r})
        library.keep.argtypes = [ctypes.c_uint64]
        library.keep(tenure.from_buffer(bytearray(10)).detach())
        """
    )
    assert out == "released: 0\n"


# DL-12, XC-4: a consumer's C code calls the deleter after the interpreter ended
def test_a_deleter_runs_after_the_interpreter_ended(tmp_path):
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("no C compiler is installed")
    (tmp_path / "late.c").write_text(
        """
        #include <stdint.h>
        #include <stdio.h>
        #include <stdlib.h>
        struct managed {
            uint32_t major, minor;
            void *manager_ctx;
            void (*deleter)(struct managed *);
            uint64_t flags;
            double *data;
        };
        static struct managed *kept;
        static void late(void) {
            printf("%g ", kept->data[1]);
            kept->deleter(kept);
            printf("deleted\\n");
            fflush(stdout);
        }
        void keep(struct managed *tensor) { kept = tensor; atexit(late); }
        """
    )
    subprocess.run([gcc, "-shared", "-fPIC", "-Wall", "-Werror", "late.c", "-o", "liblate.so"], cwd=tmp_path, check=True)
    out = run(
        f"""
        import ctypes, tenure
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        ctypes.pythonapi.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
        name = b"used_dltensor_versioned"
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(name))  # the capsule looks at it when everything else is gone
        used = ctypes.c_char_p(name)
        library = ctypes.CDLL({str(tmp_path / "liblate.so")!r})
        library.keep.argtypes = [ctypes.c_void_p]
        x = tenure.array([1.0, 2.5, 3.0], pool=tenure.Pool(name="gone"))
        capsule = x.__dlpack__(max_version=(1, 0))
        library.keep(get(capsule, b"dltensor_versioned"))
        ctypes.pythonapi.PyCapsule_SetName(capsule, used)
        """
    )
    assert out == "2.5 deleted\n"


# DL-12, XC-8: a forked child drops the parent's exports and imports, and keeps working
def test_fork_works_in_the_child():
    out = run(
        """
        import os, numpy, tenure
        x = tenure.ones(10)
        n, m, d = numpy.asarray(x), memoryview(x), numpy.from_dlpack(x)
        capsule = x.__dlpack__()
        y = tenure.asarray(numpy.arange(3.0))
        z = tenure.from_dlpack(numpy.arange(3.0))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                total = int(n.sum() + tenure.ones(5)[0] + y[2] + z[2])
                del n, m, d, capsule, y, z
                x.release()
                code = total != 15
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert n.sum() == 10 and m[0] == d[9] == 1 and y[2] == z[2] == 2
        del n, m, d, capsule
        assert x.why_not() == 0
        print("parent")
        """
    )
    assert out == "parent\n"


# PY-24
def test_pools_of_the_package_are_no_leaks():
    code = """
        import multiprocessing.reduction, tenure
        x = tenure.shared_empty(1000)
        x.release()
        tenure.default_pool(), tenure.current_pool(), tenure.shared_pool()
        with tenure.numpy_allocator():
            pass
        multiprocessing.reduction.ForkingPickler.dumps(tenure.zeros(100_000))
        assert tenure.leaks() == [], tenure.leaks()
        kept = tenure.Pool(name="of the program")
        assert [leak.name for leak in tenure.leaks()] == ["of the program"]
    """
    run(code)


# PY-25: those that NumPy has imported count for nothing.
def test_the_import_brings_only_what_it_needs():
    code = """
        import sys, numpy
        before = set(sys.modules)
        import tenure
        print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
    """
    brought = set(run(code).split())
    assert not brought & {"asyncio", "multiprocessing", "socket", "ssl", "json", "pathlib", "tracemalloc", "inspect", "ctypes"}, brought
    assert "asyncio" not in run("import sys, tenure; print(*sys.modules)").split()


# PY-26
def test_an_interpreter_that_comes_second():
    code = """
        import tenure
        try:
            import _interpreters as interpreters
            here = interpreters.create("legacy")
        except ImportError:
            import _xxsubinterpreters as interpreters
            here = interpreters.create(isolated=False)
        attempt = '''if True:
            try:
                import tenure
                print("works")
            except ImportError as error:
                print(error)
        '''
        for _ in range(2):
            interpreters.run_string(here, attempt)
        interpreters.destroy(here)
        assert tenure.ones(3).tolist() == [1, 1, 1]
    """
    first, second = run(code, PYTHONWARNINGS="ignore").splitlines()
    assert first == second and (first == "works" or "another interpreter of this process" in first and "start a process" in first)
