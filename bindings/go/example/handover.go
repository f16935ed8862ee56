package main

// #include <tenure.h>
import "C"

import (
	"unsafe"

	"tenure"
)

// squares takes an array that C gives, fills it with squares in place, and hands it back.
//
//export squares
func squares(given *C.tn_promise, result **C.tn_array) C.tn_status {
	array, err := fillSquares(unsafe.Pointer(given))
	if err != nil {
		return C.tn_status(tenure.StatusOf(err))
	}
	*result = (*C.tn_array)(array.Detach())
	return C.TN_OK
}

func fillSquares(given unsafe.Pointer) (tenure.Array, error) {
	array, err := tenure.TakeHandle(given)
	if err != nil {
		return array, err
	}
	guard, err := tenure.BorrowWrite[float64](array)
	if err != nil {
		return array, err
	}
	defer guard.End()
	x, err := guard.Slice()
	for i := range x {
		x[i] = float64(i+1) * float64(i+1)
	}
	return array, err
}

func main() {} // the program's main function is C's
