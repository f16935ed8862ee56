package tenure

// #include <tenure.h>
import "C"

import "unsafe"

// A Holder is something that keeps bytes, or a handle that was not released.
type Holder struct {
	Kind HolderKind
	// Of its store or block.
	Bytes int
	// Of its array or pool; empty without one.
	Name string
	// The line that made it: "step.go:41".
	Site string
	// The system's number of the thread that made it.
	Thread uint64
}

// Holders lists who holds the bytes of the array.
func (a Array) Holders() ([]Holder, error) {
	return list(func(capacity C.size_t, items *C.tn_holder, n *C.size_t) error {
		return a.call(func(array *C.tn_array) C.tn_status {
			return C.tn_array_holders(array, C.sizeof_tn_holder, capacity, nil, items, n)
		})
	})
}

// Leaks lists what was made in this process, by any language, and not released.
func Leaks() ([]Holder, error) {
	return list(func(capacity C.size_t, items *C.tn_holder, n *C.size_t) error {
		return call(func() C.tn_status { return C.tn_leaks(C.sizeof_tn_holder, capacity, items, n) })
	})
}

// list asks again with more room while there are more items than there was room for.
func list(query func(capacity C.size_t, items *C.tn_holder, n *C.size_t) error) ([]Holder, error) {
	var n C.size_t
	items := make([]C.tn_holder, 8)
	for {
		if err := query(C.size_t(len(items)), &items[0], &n); err != nil {
			return nil, err
		}
		if int(n) <= len(items) {
			break
		}
		items = make([]C.tn_holder, n+8)
	}
	holders := make([]Holder, n)
	for i, item := range items[:n] {
		holders[i] = Holder{
			Kind:   HolderKind(item.kind),
			Bytes:  int(item.bytes),
			Name:   text(unsafe.Pointer(&items[i].name)),
			Site:   text(unsafe.Pointer(&items[i].site)),
			Thread: uint64(item.thread),
		}
	}
	return holders, nil
}

func text(field unsafe.Pointer) string { return C.GoString((*C.char)(field)) }
