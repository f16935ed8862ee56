// Package tenure shares arrays with C, Python and every other language of the process, through libtenure: checked borrows, and ownership
// that is given and taken.
//
// Every method may be called from any goroutine. No call panics: what fails returns an *Error, which leaves everything as it was. Objects
// release their handles when they are collected; Close does it at once. Guards are different: only End ends them, because a slice does not
// keep its guard from being collected.
package tenure

// #include <tenure.h>
import "C"

import (
	"errors"
	"runtime"
)

// An Error is what a call of the library returned.
type Error struct {
	Status Status
	// What was wrong, with the offending values and what to do.
	Text string
}

func (e *Error) Error() string { return e.Status.Error() + ": " + e.Text }

// Is makes errors.Is(err, ErrBorrowed) work.
func (e *Error) Is(target error) bool { return target == error(e.Status) }

// Error is the name of the status. A Status is an error so that errors.Is accepts it.
func (s Status) Error() string { return C.GoString(C.tn_status_name(C.tn_status(s))) }

// StatusOf returns the status of an error, for functions that C calls. It is OK for nil, and ErrFailed for an error of other code.
func StatusOf(err error) Status {
	var known *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &known):
		return known.Status
	}
	return ErrFailed
}

// call runs one function of the library. The message of a failure belongs to the thread, so the goroutine stays on it.
func call(f func() C.tn_status) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return check(f())
}

// callFrom is call for what makes or copies something: the library records the line that called the exported function. That line lies
// `depth` frames above the caller of callFrom. The next user of the thread has other lines, so none is left set.
func callFrom(depth int, f func() C.tn_status) error {
	here := caller(depth + 3)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.tn_here(here.file, here.line)
	err := check(f())
	C.tn_here(nil, 0)
	return err
}

func check(status C.tn_status) error {
	if status == C.TN_OK {
		return nil
	}
	return &Error{Status(status), C.GoString(C.tn_last_error())}
}

// Version is the library's: major << 16 | minor << 8 | patch.
func Version() uint32 { return uint32(C.tn_version()) }
