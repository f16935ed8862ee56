package tenure

// #include <tenure.h>
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A handle is the id of an object of the library, and how to release it. Ids are no addresses, so they are numbers here. A handle keeps
// its id after the release: the library refuses it then, with a message. Objects hold a pointer to one, so that copies of an object share
// its one release. That of a zero object is nil.
type handle struct {
	id      atomic.Uintptr
	release func(id uintptr) C.tn_status
}

// as passes an id to C. A conversion would make an address of it, which the id is not.
func as[P any](id uintptr) P { return *(*P)(unsafe.Pointer(&id)) }

// number is the id of what C returned.
func number[P any](pointer P) uintptr { return *(*uintptr)(unsafe.Pointer(&pointer)) }

func newHandle(id uintptr, release func(id uintptr) C.tn_status) *handle {
	h := &handle{release: release}
	h.id.Store(id)
	runtime.SetFinalizer(h, (*handle).finalise)
	return h
}

// get returns the id; 0, which is NULL for C, without one. The caller keeps the handle alive until the call with the id has ended.
func (h *handle) get() uintptr {
	if h == nil {
		return 0
	}
	return h.id.Load()
}

// close releases the handle, if it has an id.
func (h *handle) close() error {
	if h.get() == 0 {
		return nil
	}
	err := call(func() C.tn_status { return h.release(h.get()) })
	if err == nil {
		runtime.SetFinalizer(h, nil)
	}
	return err
}

// detach returns the id, which this handle does not release any more.
func (h *handle) detach() unsafe.Pointer {
	if h == nil {
		return nil
	}
	runtime.SetFinalizer(h, nil)
	return as[unsafe.Pointer](h.id.Swap(0))
}

// The collector's queue. All finalisers of a program run on one goroutine, and a release can wait for a device or call foreign code. So a
// finaliser only queues the handle, and a goroutine that ends with the queue releases it.
var queue struct {
	sync.Mutex
	handles []*handle
	running bool
}

func (h *handle) finalise() {
	queue.Lock()
	defer queue.Unlock()
	queue.handles = append(queue.handles, h)
	if !queue.running {
		queue.running = true
		go releaseQueued()
	}
}

func releaseQueued() {
	for {
		queue.Lock()
		handles := queue.handles
		queue.handles = nil
		queue.running = len(handles) > 0
		queue.Unlock()
		if len(handles) == 0 {
			return
		}
		for _, h := range handles {
			h.release(h.get()) // what cannot be released stays in Leaks
		}
	}
}
