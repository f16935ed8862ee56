package tenure

// #include <tenure.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// A Promise is an array that was given and not yet taken. A promise that is closed or collected untaken is not kept.
type Promise struct{ handle *handle }

func newPromise(made *C.tn_promise) Promise {
	return Promise{newHandle(number(made), func(id uintptr) C.tn_status { return C.tn_promise_release(as[*C.tn_promise](id)) })}
}

// Give gives the array away: whoever takes the promise gets its claim, without a copy. This Array is then ErrDestructed.
func (a Array) Give() (Promise, error) {
	defer runtime.KeepAlive(a.handle)
	var out *C.tn_promise
	if err := callFrom(1, func() C.tn_status { return C.tn_array_give(as[*C.tn_array](a.handle.get()), 1, &out) }); err != nil {
		return Promise{}, err
	}
	return newPromise(out), nil
}

// Take makes an array of the promise, which cannot be taken again.
func (p Promise) Take() (Array, error) {
	defer runtime.KeepAlive(p.handle)
	return take(2, as[*C.tn_promise](p.handle.get()))
}

// TakeHandle takes the tn_promise * of a C program, which its owner still releases.
func TakeHandle(promise unsafe.Pointer) (Array, error) { return take(2, (*C.tn_promise)(promise)) }

func take(depth int, promise *C.tn_promise) (Array, error) {
	return made(depth, func(out **C.tn_array) C.tn_status { return C.tn_take(1, &promise, out) })
}

// Cancel withdraws the promise: its giver has the array back.
func (p Promise) Cancel() error {
	defer runtime.KeepAlive(p.handle)
	return call(func() C.tn_status { return C.tn_promise_cancel(as[*C.tn_promise](p.handle.get())) })
}

// Close releases the promise.
func (p Promise) Close() error { return p.handle.close() }

// Handle is the tn_promise *, for C, as Array.Handle.
func (p Promise) Handle() unsafe.Pointer { return as[unsafe.Pointer](p.handle.get()) }

// Detach returns the tn_promise *, which the caller releases.
func (p Promise) Detach() unsafe.Pointer { return p.handle.detach() }

// A Scope has a function's own arrays for its parameters. They are released by Leave, or earlier if they are closed or collected.
type Scope struct {
	handle *handle
	// Arrays are the scope's own, in the order of the parameters: a given one is the array itself, a lent one a clone.
	Arrays []Array
}

// Enter makes a scope for parameters, each an Array or a Promise: a given one is taken, of a lent one the scope has a clone. So a write with
// WriteCOW is in place for a given parameter, and in a copy for a lent one.
func Enter(parameters ...interface{ Handle() unsafe.Pointer }) (Scope, error) {
	handles := make([]unsafe.Pointer, len(parameters))
	for i, parameter := range parameters {
		handles[i] = parameter.Handle()
	}
	defer runtime.KeepAlive(parameters)
	return enter(handles)
}

// EnterHandles makes a scope for parameters of C, each a tn_array * or a tn_promise *, which their owner still releases.
func EnterHandles(parameters ...unsafe.Pointer) (Scope, error) { return enter(parameters) }

func enter(parameters []unsafe.Pointer) (Scope, error) {
	n := len(parameters)
	given := append([]unsafe.Pointer{nil}, parameters...) // one more, so that there is a first one
	own := make([]*C.tn_array, n+1)
	var scope *C.tn_scope
	err := callFrom(2, func() C.tn_status {
		from := given[1:]
		if n == 0 {
			from = given
		}
		return C.tn_enter(C.size_t(n), &from[0], &own[0], &scope)
	})
	if err != nil {
		return Scope{}, err
	}
	entered := Scope{Arrays: make([]Array, n)}
	entered.handle = newHandle(number(scope), func(id uintptr) C.tn_status { return C.tn_leave(as[*C.tn_scope](id), 0, nil) })
	for i := range entered.Arrays {
		entered.Arrays[i] = newArray(own[i])
	}
	return entered, nil
}

// Leave releases the scope's arrays, except those that it keeps. Those belong to the caller.
func (s Scope) Leave(keep ...Array) error {
	defer runtime.KeepAlive(s.handle)
	kept := make([]*C.tn_array, len(keep)+1)
	for i, array := range keep {
		kept[i] = as[*C.tn_array](array.handle.get())
	}
	err := call(func() C.tn_status { return C.tn_leave(as[*C.tn_scope](s.handle.get()), C.size_t(len(keep)), &kept[0]) })
	if err == nil {
		runtime.SetFinalizer(s.handle, nil)
	}
	return err
}
