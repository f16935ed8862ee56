package tenure

// #include <stdlib.h>
// #include <tenure.h>
//
// // C reads the shape through a pointer in a struct, where Go memory must not stand.
// static tn_status import_host(void *data, tn_dtype dtype, int32_t ndim, const int64_t *shape, tn_borrow_flags flags,
//                              tn_release_callback release, uintptr_t context, tn_array **out) {
//     const tn_layout layout = {sizeof layout, dtype, ndim, shape, NULL, 0};
//     return tn_array_import_host(data, &layout, flags, release, (void *)context, out, NULL);
// }
//
// void tenure_go_release(uintptr_t context);
// static void release(void *context) { tenure_go_release((uintptr_t)context); }
// static tn_status wrap(void *data, tn_dtype dtype, int32_t ndim, const int64_t *shape, uintptr_t context, tn_array **out) {
//     return import_host(data, dtype, ndim, shape, TN_TAKE_OWNERSHIP, release, context, out);
// }
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// An Array is one handle on an array: a claim on bytes, with a layout. The zero Array is refused by every call.
type Array struct{ handle *handle }

func newArray(made *C.tn_array) Array {
	return Array{newHandle(number(made), func(id uintptr) C.tn_status { return C.tn_array_release(as[*C.tn_array](id)) })}
}

// Close releases the handle, whatever state the array is in. A second Close is ErrStale.
func (a Array) Close() error { return a.handle.close() }

// Handle is the tn_array *, for C. The Array still releases it, so it must stay reachable during the call: see runtime.KeepAlive.
func (a Array) Handle() unsafe.Pointer { return as[unsafe.Pointer](a.handle.get()) }

// Detach returns the tn_array *, which the caller releases. The Array has none any more, and its Close does nothing.
func (a Array) Detach() unsafe.Pointer { return a.handle.detach() }

// FromHandle makes an Array of a tn_array *, which it releases.
func FromHandle(array unsafe.Pointer) Array { return newArray((*C.tn_array)(array)) }

// call runs a function on the array, which stays alive meanwhile.
func (a Array) call(f func(array *C.tn_array) C.tn_status) error {
	defer runtime.KeepAlive(a.handle)
	return call(func() C.tn_status { return f(as[*C.tn_array](a.handle.get())) })
}

// make runs a function that makes a second array of this one. The line of the caller's caller is recorded.
func (a Array) make(f func(array *C.tn_array, out **C.tn_array) C.tn_status) (Array, error) {
	defer runtime.KeepAlive(a.handle)
	return made(2, func(out **C.tn_array) C.tn_status { return f(as[*C.tn_array](a.handle.get()), out) })
}

// made is the array that a function makes. The line `depth` frames above made's caller is recorded.
func made(depth int, f func(out **C.tn_array) C.tn_status) (Array, error) {
	var out *C.tn_array
	if err := callFrom(depth+1, func() C.tn_status { return f(&out) }); err != nil {
		return Array{}, err
	}
	return newArray(out), nil
}

// lengths is a shape, or a list of other numbers, for C: the address of the first one, and how many.
func lengths(shape []int) (*C.int64_t, C.int32_t) {
	if len(shape) == 0 {
		return nil, 0
	}
	numbers := make([]C.int64_t, len(shape))
	for i, length := range shape {
		numbers[i] = C.int64_t(length)
	}
	return &numbers[0], C.int32_t(len(shape))
}

// Zeros makes an array of zeros in C order.
func Zeros(dtype DType, shape ...int) (Array, error) { return Pool{}.zeros(2, dtype, shape) }

// Empty makes an array in C order, whose elements have no defined values.
func Empty(dtype DType, shape ...int) (Array, error) { return Pool{}.empty(2, dtype, shape) }

// FromSlice makes an array with a copy of the elements, in C order. C may not keep the address of Go memory, so nothing but a copy is
// possible: make an array and write into its guard's slice to avoid one.
func FromSlice[T Element](elements []T, shape ...int) (Array, error) {
	if err := mustHave(len(elements), shape); err != nil {
		return Array{}, err
	}
	return fromGo(first(elements), DTypeOf[T](), shape)
}

func fromGo(data unsafe.Pointer, dtype DType, shape []int) (Array, error) {
	return made(2, func(out **C.tn_array) C.tn_status {
		numbers, ndim := lengths(shape)
		return C.import_host(data, C.tn_dtype(dtype), ndim, numbers, 0, nil, 0, out)
	})
}

// first is the address of a slice's first element, for a call.
func first[T Element](elements []T) unsafe.Pointer {
	if len(elements) == 0 {
		return nil
	}
	return unsafe.Pointer(&elements[0])
}

// Wrap makes an array of memory of C, in C order, without a copy. The memory must not be Go's. When the last holder of the bytes has ended,
// `release` runs on a goroutine of its own; it may be nil. If Wrap fails, it does not run.
func Wrap(data unsafe.Pointer, dtype DType, release func(), shape ...int) (Array, error) {
	if release == nil {
		release = func() {}
	}
	context := cgo.NewHandle(release)
	a, err := made(1, func(out **C.tn_array) C.tn_status {
		numbers, ndim := lengths(shape)
		return C.wrap(data, C.tn_dtype(dtype), ndim, numbers, C.uintptr_t(context), out)
	})
	if err != nil {
		context.Delete()
	}
	return a, err
}

// Open opens a .npy file: NPYRead maps it, NPYCopy reads it into memory.
func Open(path string, mode NPYMode) (Array, error) {
	text := C.CString(path)
	defer C.free(unsafe.Pointer(text))
	options := C.tn_npy_options{size: C.sizeof_tn_npy_options, mode: C.tn_npy_mode(mode), fd: -1}
	return made(1, func(out **C.tn_array) C.tn_status { return C.tn_array_open_npy(text, &options, out) })
}

// Save writes a .npy file, which replaces an old one in one step.
func (a Array) Save(path string) error {
	text := C.CString(path)
	defer C.free(unsafe.Pointer(text))
	return a.call(func(array *C.tn_array) C.tn_status { return C.tn_array_save_npy(array, text, 0) })
}

// Info describes an array.
type Info struct {
	DType  DType
	Device Device
	// Lengths in elements.
	Shape []int
	// In bytes; may be negative or 0.
	Strides []int
	// Number of elements, and their bytes.
	Count, Bytes int
	// In messages and reports; empty without one.
	Name string
}

// Info returns what the array is.
func (a Array) Info() (Info, error) {
	info := C.tn_array_info{size: C.sizeof_tn_array_info}
	if err := a.call(func(array *C.tn_array) C.tn_status { return C.tn_array_query(array, &info) }); err != nil {
		return Info{}, err
	}
	ndim := int(info.ndim)
	return Info{
		DType:   DType(info.dtype),
		Device:  device(info.device),
		Shape:   numbers(info.shape[:ndim]),
		Strides: numbers(info.strides[:ndim]),
		Count:   int(info.count),
		Bytes:   int(info.bytes),
		Name:    C.GoString(&info.name[0]),
	}, nil
}

func numbers(given []C.int64_t) []int {
	made := make([]int, len(given))
	for i, number := range given {
		made[i] = int(number)
	}
	return made
}

// SetName sets the name in messages and reports, of which 63 bytes are kept.
func (a Array) SetName(name string) error {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return a.call(func(array *C.tn_array) C.tn_status { return C.tn_array_set_name(array, text) })
}

// IsUnique says whether nobody else holds the bytes: no handle, promise, guard, export or expression.
func (a Array) IsUnique() (bool, error) {
	var unique C.int32_t
	err := a.call(func(array *C.tn_array) C.tn_status { return C.tn_array_is_unique(array, &unique) })
	return unique != 0, err
}

// Clone makes another handle on the bytes.
func (a Array) Clone() (Array, error) {
	return a.make(func(array *C.tn_array, out **C.tn_array) C.tn_status { return C.tn_array_clone(array, out) })
}

// Copy makes an array with a copy of the elements, in C order.
func (a Array) Copy() (Array, error) {
	return a.make(func(array *C.tn_array, out **C.tn_array) C.tn_status { return C.tn_array_copy(array, nil, nil, out) })
}

// CopyInto copies the elements into another array, which they are broadcast to.
func (a Array) CopyInto(destination Array) error {
	defer runtime.KeepAlive(a.handle)
	defer runtime.KeepAlive(destination.handle)
	return callFrom(1, func() C.tn_status {
		from, to := as[*C.tn_array](a.handle.get()), as[*C.tn_array](destination.handle.get())
		return C.tn_array_copy_into(from, to, C.TN_WRITE_ALIASED, nil)
	})
}

// Fill sets every element to a value.
func Fill[T Element](a Array, value T) error {
	info, err := a.Info()
	if err != nil {
		return err
	}
	if wanted := DTypeOf[T](); !wanted.reads(info.DType) {
		return wrongType(wanted, info.DType)
	}
	return a.fill(unsafe.Pointer(&value))
}

func (a Array) fill(value unsafe.Pointer) error {
	return a.call(func(array *C.tn_array) C.tn_status { return C.tn_array_fill(array, value, C.TN_WRITE_ALIASED, nil) })
}

// Heal accepts the elements as they are, after a writer that failed.
func (a Array) Heal() error {
	return a.call(func(array *C.tn_array) C.tn_status { return C.tn_array_heal(array) })
}

// Index makes a view of the elements at one index of an axis. Negative numbers count from the end.
func (a Array) Index(axis, index int) (Array, error) {
	return a.make(func(array *C.tn_array, out **C.tn_array) C.tn_status {
		return C.tn_array_index(array, C.int32_t(axis), C.int64_t(index), out)
	})
}

// A Range is a part of an axis: Start, Stop and Step as in Python, where negative numbers count from the end. A Step of 0 means 1.
type Range struct{ Start, Stop, Step int }

// All is an absent Start or Stop of a Range: from the first element, or to the last.
const All = int(C.TN_NONE)

// Slice makes a view of a part of each axis; axes without a Range are kept whole.
func (a Array) Slice(ranges ...Range) (Array, error) {
	specs := make([]C.tn_slice_spec, len(ranges)+1) // one more, so that there is a first one
	for i, part := range ranges {
		if part.Step == 0 {
			part.Step = 1
		}
		specs[i] = C.tn_slice_spec{start: C.int64_t(part.Start), stop: C.int64_t(part.Stop), step: C.int64_t(part.Step)}
	}
	return a.make(func(array *C.tn_array, out **C.tn_array) C.tn_status {
		return C.tn_array_slice(array, C.size_t(len(ranges)), &specs[0], out)
	})
}

// Transpose makes a view with the axes in reverse order.
func (a Array) Transpose() (Array, error) {
	return a.make(func(array *C.tn_array, out **C.tn_array) C.tn_status { return C.tn_array_transpose(array, out) })
}

// Reshape makes a view with another shape. One length may be -1. A layout that would need a copy is ErrLayout.
func (a Array) Reshape(shape ...int) (Array, error) {
	return a.make(func(array *C.tn_array, out **C.tn_array) C.tn_status {
		numbers, ndim := lengths(shape)
		return C.tn_array_reshape(array, ndim, numbers, C.TN_ORDER_C, out)
	})
}

// mustHave is ErrShape for a shape that does not have this many elements: C cannot see the length of a slice.
func mustHave(count int, shape []int) error {
	product := 1
	for _, length := range shape {
		product *= length
	}
	if product != count {
		return &Error{ErrShape, fmt.Sprintf("tenure: %d elements for the shape %v", count, append([]int{}, shape...))}
	}
	return nil
}
