// cgo: the header without a wrapper.
package main

// #cgo LDFLAGS: -ltenure
// #include <tenure.h>
import "C"

func must(good bool) {
	if !good {
		panic(C.GoString(C.tn_last_error()))
	}
}

func main() {
	var array, part *C.tn_array
	var guard *C.tn_borrow
	shape := C.int64_t(3)
	spec := C.tn_slice_spec{start: 1, stop: C.TN_NONE, step: C.TN_NONE}
	var status C.tn_status = C.tn_array_zeros(nil, C.TN_F64, 1, &shape, nil, &array)
	must(status == C.TN_OK)
	must(C.tn_array_slice(array, 1, &spec, &part) == C.TN_OK)
	var flags C.tn_guard_flags = C.TN_FROZEN | C.TN_WAIT
	must(C.tn_array_borrow_read(part, flags, C.tn_stream_legacy(), nil, nil, &guard) == C.TN_OK)
	must(C.tn_array_release(array) == C.TN_OK && C.tn_borrow_end(guard, 0, nil) == C.TN_OK)
	must(C.tn_array_release(part) == C.TN_OK && C.tn_array_release(part) == C.TN_ERR_STALE)
}
