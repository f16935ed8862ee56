/* An object with 64 bytes, whose buffer says what its caller wants. What the description gives no value for is that of 8 float64.
 * The lists of the description end at a page without access, so reading them too far ends the process. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <sys/mman.h>

typedef struct {
    PyObject_HEAD
    double memory[8];
    char format[16];
    Py_buffer view;
    int refuses;
} Liar;

static Py_ssize_t *list_of(PyObject *tuple) {
    Py_ssize_t n = PyTuple_Size(tuple);
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (n < 0 || pages == MAP_FAILED || mprotect(pages + 4096, 4096, PROT_NONE)) return NULL;
    Py_ssize_t *list = (Py_ssize_t *)(pages + 4096) - n;
    for (Py_ssize_t i = 0; i < n; i++) list[i] = PyLong_AsSsize_t(PyTuple_GetItem(tuple, i));
    return list;
}

static int liar_init(PyObject *self, PyObject *args, PyObject *options) {
    static char *names[] = {"shape", "strides", "ndim", "len", "itemsize", "format", "null", "readonly", "refuses", "suboffsets",
                            NULL};
    Liar *liar = (Liar *)self;
    Py_buffer *view = &liar->view;
    PyObject *shape = NULL, *strides = NULL, *suboffsets = NULL;
    const char *format = "d";
    int null = 0;
    *view = (Py_buffer){.ndim = 1, .len = 64, .itemsize = 8, .buf = liar->memory};
    if (!PyArg_ParseTupleAndKeywords(args, options, "|OOinnsiiiO", names, &shape, &strides, &view->ndim, &view->len, &view->itemsize,
                                     &format, &null, &view->readonly, &liar->refuses, &suboffsets))
        return -1;
    if (null) view->buf = NULL;
    PyOS_snprintf(liar->format, sizeof liar->format, "%s", format);
    view->format = liar->format;
    view->shape = shape ? list_of(shape) : NULL;
    view->strides = strides ? list_of(strides) : NULL;
    view->suboffsets = suboffsets ? list_of(suboffsets) : NULL;
    return PyErr_Occurred() ? -1 : 0;
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
    Liar *liar = (Liar *)self;
    (void)flags;
    if (liar->refuses) return -1;
    *view = liar->view;
    view->obj = self;
    Py_INCREF(self);
    return 0;
}

static PyBufferProcs procs = {get_buffer, NULL};
static PyTypeObject type = {PyVarObject_HEAD_INIT(NULL, 0).tp_name = "lying_exporter.Liar",
                            .tp_basicsize = sizeof(Liar),
                            .tp_flags = Py_TPFLAGS_DEFAULT,
                            .tp_new = PyType_GenericNew,
                            .tp_init = liar_init,
                            .tp_as_buffer = &procs};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "lying_exporter", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_lying_exporter(void) {
    PyObject *made = PyType_Ready(&type) ? NULL : PyModule_Create(&module);
    if (made) PyModule_AddObjectRef(made, "Liar", (PyObject *)&type);
    return made;
}
