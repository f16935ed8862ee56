// Takes an array that C gives, squares its elements in place, and gives it back.
package main

// #cgo LDFLAGS: -lhandover
// #include <tenure.h>
// void handover_give(tn_promise **out);
// void handover_take(tn_promise *const *given);
import "C"

import (
	"fmt"
	"log"
	"unsafe"

	"tenure"
)

func main() {
	var promise *C.tn_promise
	C.handover_give(&promise)
	array, err := tenure.TakeHandle(unsafe.Pointer(promise))
	if err == nil {
		err = square(array)
	}
	if err != nil {
		log.Fatal(err)
	}

	given, err := array.Give()
	if err != nil {
		log.Fatal(err)
	}
	promise = (*C.tn_promise)(given.Handle())
	C.handover_take(&promise)
	given.Close()
	array.Close()
	leaks, _ := tenure.Leaks()
	fmt.Println(len(leaks), "leaks")
}

func square(array tenure.Array) error {
	guard, err := tenure.BorrowWrite[float64](array)
	if err != nil {
		return err
	}
	defer guard.End()
	x, err := guard.Slice()
	for i := range x {
		x[i] *= x[i]
	}
	return err
}
