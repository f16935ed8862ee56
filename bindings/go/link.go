//go:build !tenure_flags

package tenure

// pkg-config finds the header and the library. With the build tag tenure_flags, CGO_CFLAGS and CGO_LDFLAGS do.

// #cgo pkg-config: tenure
import "C"
