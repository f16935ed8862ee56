package tenure

// #include <tenure.h>
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// A borrow is an open guard of C, to which the copies of a Reader or Writer point. It has no finaliser: a slice does not keep it from being collected, and the bytes must outlive the slice.
type borrow struct {
	open           *C.tn_borrow
	data           unsafe.Pointer
	shape, strides []int
	ended          bool
}

// A Reader is a guard: until End, nobody writes the elements. One goroutine uses it at a time.
type Reader[T Element] struct{ borrow *borrow }

// A Writer is a guard: until End, nobody else reads or writes the elements. One goroutine uses it at a time.
type Writer[T Element] struct{ Reader[T] }

// BorrowRead opens a guard for reading, on an array whose memory the host can access. Nobody waits: a conflict is ErrBorrowedWrite.
func BorrowRead[T Element](a Array) (Reader[T], error) {
	made, err := a.borrow(DTypeOf[T](), unsafe.Alignof(*new(T)), func(array *C.tn_array, view *C.tn_view_info, out **C.tn_borrow) C.tn_status {
		return C.tn_array_borrow_read(array, 0, nil, nil, view, out)
	})
	if err != nil {
		return Reader[T]{}, err
	}
	return Reader[T]{made}, nil
}

// BorrowWrite opens a guard for writing. The mode says what becomes of other handles on the bytes, which see the change by default. A
// conflict is ErrBorrowed or ErrBorrowedWrite at once.
func BorrowWrite[T Element](a Array, mode ...WriteMode) (Writer[T], error) {
	var bits C.tn_write_mode
	for _, bit := range mode {
		bits |= C.tn_write_mode(bit)
	}
	made, err := a.borrow(DTypeOf[T](), unsafe.Alignof(*new(T)), func(array *C.tn_array, view *C.tn_view_info, out **C.tn_borrow) C.tn_status {
		return C.tn_array_borrow_write(array, bits, nil, nil, view, out)
	})
	if err != nil {
		return Writer[T]{}, err
	}
	return Writer[T]{Reader[T]{made}}, nil
}

// borrow opens a guard for one of the two functions above.
func (a Array) borrow(
	wanted DType, align uintptr, open func(array *C.tn_array, view *C.tn_view_info, out **C.tn_borrow) C.tn_status,
) (*borrow, error) {
	defer runtime.KeepAlive(a.handle)
	var view C.tn_view_info
	var out *C.tn_borrow
	err := callFrom(2, func() C.tn_status { return open(as[*C.tn_array](a.handle.get()), &view, &out) })
	if err != nil {
		return nil, err
	}
	made := &borrow{open: out, data: view.data}
	if view.ndim > 0 {
		made.shape = numbers(unsafe.Slice(view.shape, view.ndim))
		made.strides = numbers(unsafe.Slice(view.strides, view.ndim))
	}
	switch {
	case !wanted.reads(DType(view.dtype)):
		err = wrongType(wanted, DType(view.dtype))
	case view.device._type != C.TN_CPU && view.device._type != C.TN_CUDA_HOST:
		err = &Error{ErrDevice, "tenure: the elements are in memory of a device: use ToSlice"}
	case !made.isAligned(align):
		err = &Error{ErrLayout, "tenure: the elements are not aligned for their type: use Copy"}
	}
	if err != nil {
		made.end(0)
	}
	return made, err
}

// isAligned says whether a pointer of Go may point to each element.
func (b *borrow) isAligned(align uintptr) bool {
	bits := uintptr(b.data)
	for axis, stride := range b.strides {
		if b.shape[axis] > 1 {
			bits |= uintptr(stride)
		}
	}
	return bits%align == 0
}

func (b *borrow) end(flags C.tn_end_flags) error {
	if b == nil {
		return ended()
	}
	b.ended = true
	return call(func() C.tn_status { return C.tn_borrow_end(b.open, flags, nil) })
}

// End ends the guard. Slices of it must not be used any more. A second End is ErrStale.
func (g Reader[T]) End() error { return g.borrow.end(0) }

// Fail ends the guard and marks the elements as undefined: readers get ErrPoisoned until they are written anew, or Heal accepts them.
func (g Writer[T]) Fail() error { return g.borrow.end(C.TN_END_FAILED) }

// Shape has the lengths of the axes.
func (g Reader[T]) Shape() []int {
	if g.borrow == nil {
		return nil
	}
	return append([]int{}, g.borrow.shape...)
}

// Slice shows the elements in C order until End. Those of a Reader must not be written, though Go has no type that says so. An array with
// gaps or in another order is ErrLayout, because nothing is copied: use At, views by Index, or Copy.
func (g Reader[T]) Slice() ([]T, error) {
	if g.borrow.isEnded() {
		return nil, ended()
	}
	count, isContiguous := 1, true
	for axis := len(g.borrow.shape) - 1; axis >= 0; axis-- {
		length, stride := g.borrow.shape[axis], g.borrow.strides[axis]
		isContiguous = isContiguous && (length == 1 || stride == count*int(unsafe.Sizeof(*new(T))))
		count *= length
	}
	if count == 0 {
		return []T{}, nil
	}
	if !isContiguous {
		return nil, &Error{ErrLayout, fmt.Sprintf("tenure: shape %v with strides of %v bytes is not in C order without gaps; use At, "+
			"views by Index, or Copy", g.borrow.shape, g.borrow.strides)}
	}
	return unsafe.Slice((*T)(g.borrow.data), count), nil
}

// At returns one element, of any layout.
func (g Reader[T]) At(index ...int) (T, error) {
	element, err := g.borrow.at(index)
	if err != nil {
		return *new(T), err
	}
	return *(*T)(element), nil
}

// Set writes one element, of any layout.
func (g Writer[T]) Set(value T, index ...int) error {
	element, err := g.borrow.at(index)
	if err == nil {
		*(*T)(element) = value
	}
	return err
}

// at is the address of one element.
func (b *borrow) at(index []int) (unsafe.Pointer, error) {
	if b.isEnded() {
		return nil, ended()
	}
	if len(index) != len(b.shape) {
		return nil, &Error{ErrCount, fmt.Sprintf("tenure: %d indices for %d axes", len(index), len(b.shape))}
	}
	offset := 0
	for axis, i := range index {
		if i < 0 || i >= b.shape[axis] {
			return nil, &Error{ErrRange, fmt.Sprintf("tenure: index %d is outside axis %d (length %d)", i, axis, b.shape[axis])}
		}
		offset += i * b.strides[axis]
	}
	return unsafe.Add(b.data, offset), nil
}

func (b *borrow) isEnded() bool { return b == nil || b.ended }

func ended() error { return &Error{ErrStale, "tenure: the guard has ended"} }

func wrongType(wanted, found DType) error {
	return &Error{ErrDType, fmt.Sprintf("tenure: elements of type %#x, not %#x", uint32(found), uint32(wanted))}
}

// ToSlice copies the elements, in C order, from any layout and device.
func ToSlice[T Element](a Array) ([]T, error) {
	info, err := a.Info()
	if err != nil {
		return nil, err
	}
	if wanted := DTypeOf[T](); !wanted.reads(info.DType) {
		return nil, wrongType(wanted, info.DType)
	}
	elements := make([]T, info.Count)
	if err := a.copyToHost(first(elements)); err != nil {
		return nil, err
	}
	return elements, nil
}

func (a Array) copyToHost(data unsafe.Pointer) error {
	return a.call(func(array *C.tn_array) C.tn_status { return C.tn_array_copy_to_host(array, data, nil, nil) })
}
