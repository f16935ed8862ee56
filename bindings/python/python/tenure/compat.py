"""Arrays shared with PyCUDA, CUDAMat, gnumpy and the CudaNdarray of Theano, without a copy.

`to_X(x)` gives the library's own object on the bytes of x, and `from_X(obj)` a Tenure array on the bytes of obj. Both share or raise
ConversionError. With `copyif=True` a `to_X` copies what it cannot share; the result then shares nothing, and `tenure.copies()` lists the copy. `reads=True` is the caller's word that
the library only reads: x may then be read-only, and cannot be written while the object lives. None of these functions waits for a device.

x may be any array that `tenure.asarray` takes, in memory of a GPU. These libraries work on the legacy default stream: it waits for unfinished
work on x, and later uses of x wait for the library's work.

    g = tenure.compat.to_gpuarray(x)
    kernel(g, block=(256, 1, 1))      # PyCUDA's kernel works on the memory of x
"""

import ctypes
import functools
import math
import sys

import numpy

from . import _tenure
from ._errors import Error
from ._tenure import Array, asarray, from_cuda_array_interface

__all__ = [
    "ConversionError",
    "CudaNdarray",
    "from_cudamat",
    "from_garray",
    "from_gpu_pointer",
    "from_gpuarray",
    "pycuda_allocator",
    "to_cudamat",
    "to_cudandarray",
    "to_garray",
    "to_gpuarray",
]

_MOST_ELEMENTS = 2**31 - 1
_LEGACY_STREAM = 1


class ConversionError(ValueError, TypeError):
    """An object that the other library cannot share."""


# What refuses to share: the package's own exceptions, and the built-in ones that it raises in the protocols.
_REFUSALS = (Error, ValueError, TypeError, AttributeError, BufferError)


def _refuse(why, cause=None):
    raise ConversionError(why) from cause


def _array(x):
    """x as an array in memory of a GPU or in managed memory."""
    try:
        x = asarray(x, copy=False)
    except _REFUSALS as error:
        _refuse(f"{type(x).__name__} is no array that Tenure can share: {error}", error)
    if not str(x.device).startswith(("cuda:", "cuda_managed:")):
        _refuse(f"the array is on device {x.device}, and the other library works on a GPU; tenure.cuda.to_device copies it")
    return x


def _float32_array(x):
    x = _array(x)
    if x.dtype != numpy.float32:
        _refuse(f"the array has {x.dtype} elements, and the other library has float32 only; x.astype('float32') converts it")
    if x.size > _MOST_ELEMENTS:
        _refuse(f"the array has {x.size} elements, and the other library has at most 2^31 - 1")
    return x


def _shared_or_copied(x, order, is_shareable, copyif, why):
    """x, or with copyif a copy of it in the given order."""
    if is_shareable:
        return x
    if copyif:
        return _copied(x) if order == "C" else _copied(x.T).T
    return _refuse(f"{why}; copyif=True copies it")


def _copied(x):
    """A copy of x in C order, which the copy book counts as that of an export."""
    try:
        lent, interface = _tenure._lend(x, reads=False, copies=True)
    except _REFUSALS as error:
        return _refuse(str(error), error)
    data, _ = interface["data"]
    return _from_memory(lent, data, interface["shape"], interface["strides"], interface["typestr"], interface["stream"])


def _lend(x, reads):
    """An export of x, and the CUDA array interface of its bytes."""
    try:
        return _tenure._lend(x, reads)
    except _REFUSALS as error:
        return _refuse(str(error), error)


class _Described:
    """Memory of another library with the CUDA array interface, and the object that keeps it."""

    def __init__(self, owner, pointer, shape, strides, typestr, stream):
        self.owner = owner
        self.__cuda_array_interface__ = {
            "shape": tuple(shape),
            "strides": None if strides is None else tuple(strides),
            "data": (pointer, False),
            "typestr": typestr,
            "stream": stream,
            "version": 3,
        }


def _from_memory(owner, pointer, shape, strides, typestr, stream):
    """A Tenure array on another library's memory, which keeps the owner."""
    try:
        return from_cuda_array_interface(_Described(owner, pointer, shape, strides, typestr, stream), copy=False)
    except _REFUSALS as error:
        return _refuse(str(error), error)


def _needs_kind(obj, module, kind):
    """The loaded module of obj's class, which must be the one of that name."""
    library = sys.modules.get(module)
    if library is None or not isinstance(obj, getattr(library, kind)):
        _refuse(f"{type(obj).__name__} is no {module}.{kind}")
    return library


# ---- PyCUDA


def to_gpuarray(x, copyif=False, reads=False, strided=False):
    """A PyCUDA GPUArray on the bytes of x, which must be C-contiguous. strided: any strides, for code that honours them.

    >>> g = tenure.compat.to_gpuarray(x)
    >>> g.shape == x.shape
    True
    """
    from pycuda import gpuarray

    x = _array(x)
    why = f"the strides {x.strides} are not C-contiguous, and most code for GPUArrays ignores strides (strided=True shares them)"
    x = _shared_or_copied(x, "C", strided or x.flags.c_contiguous, copyif, why)
    _check_context(x)
    lent, interface = _lend(x, reads)
    if x.size == 0:
        return gpuarray.GPUArray(x.shape, x.dtype, strides=x.strides)
    return gpuarray.GPUArray(x.shape, x.dtype, base=lent, gpudata=interface["data"][0], strides=x.strides)


def _check_context(x):
    """PyCUDA's current context must be the one that the array's memory belongs to."""
    from pycuda import driver

    ordinal = int(str(x.device).split(":")[1])
    current, primary = driver.Context.get_current(), driver.Device(ordinal).retain_primary_context()
    if current is None or current.handle != primary.handle:
        _refuse(
            f"PyCUDA's current context is not the primary context of GPU {ordinal}, in which the array's memory is; "
            "use pycuda.autoprimaryctx in place of pycuda.autoinit"
        )


def from_gpuarray(g, stream=None):
    """A Tenure array on the bytes of a PyCUDA GPUArray, with its strides. Work on PyCUDA's streams is the caller's to order, unless
    `stream` names the stream of that work: a CUstream as a number, or a Stream of PyCUDA or Tenure.

    >>> tenure.compat.from_gpuarray(g).shape
    (3, 4)
    """
    _needs_kind(g, "pycuda.gpuarray", "GPUArray")
    native = None if stream is None else getattr(stream, "native", getattr(stream, "handle", stream)) or _LEGACY_STREAM
    pointer = 0 if g.gpudata is None else int(g.gpudata)
    # The stream waits when the import ends, so it is kept that long.
    return _from_memory((g, stream), pointer, g.shape, g.strides, g.dtype.str, native)


@functools.cache
def _block_of(base):
    """The class of blocks for PyCUDA, whose functions take pointers of its own base class."""

    class Block(base):
        """A block of a pool, as PyCUDA's DeviceAllocation."""

        def __init__(self, array):
            super().__init__()
            self._lent, interface = _lend(array, False)
            self._pointer = interface["data"][0]

        def get_pointer(self):
            """The address."""
            return self._pointer

        __int__ = __index__ = get_pointer

        def free(self):
            """Gives the memory back to its pool, after the work on the legacy stream."""
            self._lent = None

    return Block


def pycuda_allocator(pool):
    """An allocator for PyCUDA's GPUArrays that takes memory from a pool.

    >>> pool = tenure.Pool("cuda:0")
    >>> g = gpuarray.empty((3, 4), "float32", allocator=tenure.compat.pycuda_allocator(pool))
    """
    from pycuda import driver

    block = _block_of(driver.PointerHolderBase)
    return lambda size: block(_tenure.empty(size, "uint8", pool=pool))


# ---- CUDAMat


def to_cudamat(x, copyif=False, reads=False, transposed=False):
    """A CUDAMatrix on the bytes of x: float32, two axes, F-contiguous. transposed: of C-contiguous x, whose transpose CUDAMat then sees.

    >>> m = tenure.compat.to_cudamat(x)
    >>> m.shape == x.shape
    True
    """
    import cudamat

    x = _float32_array(x)
    if x.ndim != 2:
        _refuse(f"the array has {x.ndim} axes, and a CUDAMatrix has 2; x.reshape gives it 2")
    order, fits = ("C", x.flags.c_contiguous) if transposed else ("F", x.flags.f_contiguous)
    why = f"the strides {x.strides} are not {order}-contiguous"
    if not transposed and x.flags.c_contiguous:
        why += " (transposed=True shares it as its transpose)"
    x = _shared_or_copied(x, order, fits, copyif, why)
    struct = cudamat.cudamat()
    try:
        lent = _tenure._lend_cudamat(x, ctypes.addressof(struct), transposed, reads)
    except _REFUSALS as error:
        _refuse(str(error), error)
    return _matrix(cudamat.CUDAMatrix, struct, lent)


def _matrix(kind, struct, lent):
    """A CUDAMatrix on a struct. It keeps the export, and so does its transpose; its slices keep the matrix."""
    matrix = kind(struct)
    matrix._tenure = matrix.T._tenure = lent
    return matrix


def from_cudamat(m):
    """A Tenure array on the elements of a CUDAMatrix, F-contiguous.

    >>> tenure.compat.from_cudamat(m).shape == m.shape
    True
    """
    _needs_kind(m, "cudamat", "CUDAMatrix")
    try:
        return _tenure._from_cudamat(ctypes.addressof(m.mat), m)
    except _REFUSALS as error:
        return _refuse(str(error), error)


# ---- gnumpy


def _gnumpy_on_gpu(gnumpy):
    """gnumpy's CUDAMat. gnumpy has another module in its place where there is no GPU."""
    library = getattr(gnumpy, "_cudamat", None)
    if library is None or not hasattr(library, "cudamat"):
        _refuse("gnumpy runs without a GPU here, and its arrays are in memory of the host")
    return library


# A garray of each gnumpy module, of which converted ones say to be aliases. So gnumpy does not put their memory into its reuse cache.
_owners: dict[int, object] = {}


def _owner(gnumpy, library):
    known = _owners.get(id(gnumpy))
    if known is None:
        known = gnumpy.garray(library.CUDAMatrix(library.cudamat()), (0,), None)
        # It owns nothing, so that gnumpy does not recycle it either.
        known._is_alias_of = known
        _owners[id(gnumpy)] = known
    return known


def to_garray(x, copyif=False, reads=False):
    """A garray on the bytes of x: float32, C-contiguous, with any number of axes.

    >>> tenure.compat.to_garray(x).shape == x.shape
    True
    """
    import gnumpy

    library = _gnumpy_on_gpu(gnumpy)
    x = _float32_array(x)
    if x.size == 0:
        return gnumpy.zeros(x.shape) if copyif else _refuse("an array without elements has no memory to share; copyif=True makes one")
    x = _shared_or_copied(x, "C", x.flags.c_contiguous, copyif, f"the strides {x.strides} are not C-contiguous")
    struct = library.cudamat()
    # A garray is row-major over a single column, so no transposition occurs.
    column = x.reshape(x.size, 1)
    try:
        lent = _tenure._lend_cudamat(column, ctypes.addressof(struct), False, reads)
    except _REFUSALS as error:
        _refuse(str(error), error)
    finally:
        column.release()
    return gnumpy.garray(_matrix(library.CUDAMatrix, struct, lent), x.shape, _owner(gnumpy, library))


def from_garray(g):
    """A Tenure array on the bytes of a garray, C-contiguous.

    >>> tenure.compat.from_garray(g).shape == g.shape
    True
    """
    _gnumpy_on_gpu(_needs_kind(g, "gnumpy", "garray"))
    base = g._base
    if not base.mat.on_device:
        _refuse("the elements of the garray are not on a GPU")
    pointer = ctypes.cast(base.mat.data_device, ctypes.c_void_p).value or 0
    return _from_memory(base, pointer, g.shape, None, "<f4", _LEGACY_STREAM)


# ---- CudaNdarray


class CudaNdarray:
    """A view with the attributes of Theano's CudaNdarray, on a float32 array. Its `_strides` count elements and are 0 for lengths of 1."""

    def __init__(self, array: Array, base):
        self._array, self.base = array, base
        self._lent, interface = _lend(array, not array.flags.writeable)
        self.gpudata = interface["data"][0]
        self._strides = tuple(0 if n == 1 else s // 4 for n, s in zip(array.shape, array.strides))

    @property
    def shape(self):
        """Lengths of the axes."""
        return self._array.shape

    @property
    def ndim(self):
        """Number of axes."""
        return self._array.ndim

    @property
    def dtype(self):
        """float32."""
        return self._array.dtype

    @property
    def size(self):
        """Number of elements."""
        return self._array.size

    @property
    def strides(self):
        """Strides in bytes: 4 * `_strides`."""
        return tuple(4 * s for s in self._strides)

    def is_c_contiguous(self):
        """Whether the elements are C-contiguous; lengths of 1 do not count."""
        return bool(self._array.flags.c_contiguous)

    def copy(self):
        """A C-contiguous copy on memory of its own."""
        return CudaNdarray(self._array.copy("C"), None)

    @property
    def __cuda_array_interface__(self):
        return self._array.__cuda_array_interface__

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def __repr__(self):
        return f"<CudaNdarray of shape {self.shape} at {self.gpudata:#x}>"


def _from_any(obj):
    for module, kind, convert in (
        ("pycuda.gpuarray", "GPUArray", from_gpuarray),
        ("cudamat", "CUDAMatrix", from_cudamat),
        ("gnumpy", "garray", from_garray),
    ):
        library = sys.modules.get(module)
        if library is not None and isinstance(obj, getattr(library, kind)):
            return convert(obj)
    return obj


def to_cudandarray(obj, copyif=False):
    """A CudaNdarray on the bytes of a GPUArray, CUDAMatrix, garray, Tenure array or any object with the CUDA array interface. All float32
    layouts can be shared, so `copyif` is never needed.

    >>> tenure.compat.to_cudandarray(x)._strides
    (20, 5, 1)
    """
    return CudaNdarray(_float32_array(_from_any(obj)), obj)


def from_gpu_pointer(pointer, shape, strides_in_elements, base):
    """A CudaNdarray on float32 elements at an address of a GPU, which `base` keeps.

    >>> tenure.compat.from_gpu_pointer(g.gpudata, (3, 4), (4, 1), g).shape
    (3, 4)
    """
    shape, strides = tuple(shape), tuple(strides_in_elements)
    if len(shape) != len(strides):
        _refuse(f"{len(shape)} lengths and {len(strides)} strides")
    # A length of 1 may have stride 0, which would count as a broadcast of any other length.
    dense = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    strides = [4 * (d if n == 1 else s) for n, s, d in zip(shape, strides, dense)]
    return CudaNdarray(_from_memory(base, int(pointer), shape, strides, "<f4", None), base)
