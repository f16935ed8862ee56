package tenure

// #include <tenure.h>
import "C"

import (
	"path/filepath"
	"runtime"
	"sync"
)

// A site is a line of the program, with its file name as C's text.
type site struct {
	file *C.char
	line C.int32_t
}

// sites has the site of each program counter that called: finding the line of one takes microseconds, and C needs the name to stay. It
// grows by one entry for each line of the program that calls the package.
var sites sync.Map

// caller returns the site of a frame, counted as by runtime.Callers: 1 is caller itself.
func caller(skip int) *site {
	var at [1]uintptr
	runtime.Callers(skip, at[:])
	if known, ok := sites.Load(at[0]); ok {
		return known.(*site)
	}
	frame, _ := runtime.CallersFrames(at[:]).Next()
	made := &site{C.CString(filepath.Base(frame.File)), C.int32_t(frame.Line)}
	// Of two goroutines that make one, the second keeps its few bytes.
	known, _ := sites.LoadOrStore(at[0], made)
	return known.(*site)
}
