//go:build tenure_flags

package tenure

// #cgo LDFLAGS: -ltenure
import "C"
