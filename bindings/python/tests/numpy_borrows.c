/* A Python module that borrows NumPy arrays by tenure_numpy.h, as C code of others does. */
#include "tenure_numpy.h"

static const tn_numpy_borrows *borrows;

static PyObject *acquire(PyObject *self, PyObject *args)
{
    PyObject *array;
    int writes;
    (void)self;
    if (!PyArg_ParseTuple(args, "Op", &array, &writes))
        return NULL;
    uint64_t guard = TN_NUMPY_ACQUIRE(borrows, array, writes, "from C");
    return guard ? PyLong_FromUnsignedLongLong(guard) : NULL;
}

static PyObject *acquire_null(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    return borrows->acquire(NULL, 0, NULL, NULL, 0) ? PyLong_FromLong(1) : NULL;
}

static PyObject *release(PyObject *self, PyObject *guard)
{
    (void)self;
    if (borrows->release(PyLong_AsUnsignedLongLong(guard), 0))
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"acquire", acquire, METH_VARARGS, NULL},
    {"acquire_null", acquire_null, METH_NOARGS, NULL},
    {"release", release, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "numpy_borrows", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_numpy_borrows(void)
{
    borrows = tn_numpy_borrows_import();
    if (!borrows || borrows->size < sizeof *borrows)
        return NULL;
    return PyModule_Create(&module);
}
