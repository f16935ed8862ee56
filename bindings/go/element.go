package tenure

// An Element is a Go type whose values are elements of arrays.
type Element interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64 | complex64 | complex128
}

// DTypeOf is the element type of a Go type.
func DTypeOf[T Element]() DType {
	var element T
	switch any(element).(type) {
	case int8:
		return I8
	case int16:
		return I16
	case int32:
		return I32
	case int64:
		return I64
	case uint8:
		return U8
	case uint16:
		return U16
	case uint32:
		return U32
	case uint64:
		return U64
	case float32:
		return F32
	case float64:
		return F64
	case complex64:
		return C64
	}
	return C128
}

// reads says whether a slice of this type can show elements of another one. Go's bool is none: C can write a 2. So a Bool is a uint8, and
// the floating point numbers that Go lacks are their bits.
func (wanted DType) reads(found DType) bool {
	switch found {
	case Bool:
		return wanted == U8
	case F16, BF16:
		return wanted == U16
	}
	return wanted == found
}
