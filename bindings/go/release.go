package tenure

// #include <stdint.h>
import "C"

import "runtime/cgo"

// tenure_go_release is the callback of Wrap. A panic must not unwind frames of C, so the function runs on a goroutine of its own. The
// context is a number: as a pointer it would be an invalid one.
//
//export tenure_go_release
func tenure_go_release(context C.uintptr_t) {
	handle := cgo.Handle(context)
	release := handle.Value().(func())
	handle.Delete()
	go release()
}
