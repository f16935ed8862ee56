package tenure

// #include <stdlib.h>
// #include <tenure.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// A Device is where bytes are. The zero Device is the host.
type Device struct {
	Type DeviceType
	// Number among the devices of that type.
	ID int
}

func device(made C.tn_device) Device {
	if made._type == C.TN_CPU {
		return Device{}
	}
	return Device{DeviceType(made._type), int(made.id)}
}

func (d Device) c() C.tn_device {
	if d.Type == 0 {
		d.Type = CPU
	}
	return C.tn_device{_type: C.tn_device_type(d.Type), id: C.int32_t(d.ID)}
}

// Memory is what a device has, in bytes.
type Memory struct {
	// Physical memory; on the host, at most the control group's limit.
	Total uint64
	// As the system reports it.
	Free uint64
	// By anybody.
	Used uint64
	// What the library's pools hold, and what of that they can reuse.
	Pools, PoolsFree uint64
}

// MemoryInfo returns the memory of a device, now.
func MemoryInfo(d Device) (Memory, error) {
	info := C.tn_device_info{size: C.sizeof_tn_device_info}
	err := call(func() C.tn_status { return C.tn_device_query(d.c(), C.TN_QUERY_MEMORY, &info) })
	if err != nil {
		return Memory{}, err
	}
	return Memory{
		Total:     uint64(info.total_bytes),
		Free:      uint64(info.free_bytes),
		Used:      uint64(info.used_bytes),
		Pools:     uint64(info.pool_bytes),
		PoolsFree: uint64(info.pool_free_bytes),
	}, nil
}

// A Pool is an allocator of memory on one device. Its arrays stay valid without it. The zero Pool is the default one of the host. A thread's
// current pool is not offered: goroutines have no thread.
type Pool struct{ handle *handle }

// PoolOptions describe a pool. What is zero has the library's default.
type PoolOptions struct {
	Device Device
	// In messages and reports.
	Name string
	// Bytes that the pool has from the start, and keeps.
	InitialSize uint64
	// Upper bound of its bytes; more are ErrPoolLimit.
	MaxSize uint64
	// Upper bound of one step of growth, in bytes.
	MaxGrowth uint64
	// At least 1.
	GrowthFactor float64
}

// NewPool makes a pool.
func NewPool(options PoolOptions) (Pool, error) {
	given := C.tn_pool_options{
		size:          C.sizeof_tn_pool_options,
		initial_size:  C.uint64_t(options.InitialSize),
		max_size:      C.uint64_t(options.MaxSize),
		max_growth:    C.uint64_t(options.MaxGrowth),
		growth_factor: C.double(options.GrowthFactor),
	}
	if options.Name != "" {
		given.name = C.CString(options.Name)
		defer C.free(unsafe.Pointer(given.name))
	}
	var out *C.tn_pool
	if err := callFrom(1, func() C.tn_status { return C.tn_pool_create(options.Device.c(), &given, &out) }); err != nil {
		return Pool{}, err
	}
	return Pool{newHandle(number(out), func(id uintptr) C.tn_status { return C.tn_pool_release(as[*C.tn_pool](id)) })}, nil
}

// Close releases the pool's handle. Live arrays keep its memory.
func (p Pool) Close() error { return p.handle.close() }

// Handle is the tn_pool *, for C, as Array.Handle.
func (p Pool) Handle() unsafe.Pointer { return as[unsafe.Pointer](p.handle.get()) }

func (p Pool) c() *C.tn_pool { return as[*C.tn_pool](p.handle.get()) }

// Zeros makes an array of zeros in C order.
func (p Pool) Zeros(dtype DType, shape ...int) (Array, error) { return p.zeros(2, dtype, shape) }

// Empty makes an array in C order, whose elements have no defined values.
func (p Pool) Empty(dtype DType, shape ...int) (Array, error) { return p.empty(2, dtype, shape) }

func (p Pool) zeros(depth int, dtype DType, shape []int) (Array, error) {
	defer runtime.KeepAlive(p.handle)
	numbers, ndim := lengths(shape)
	return made(depth, func(out **C.tn_array) C.tn_status {
		return C.tn_array_zeros(p.c(), C.tn_dtype(dtype), ndim, numbers, nil, out)
	})
}

func (p Pool) empty(depth int, dtype DType, shape []int) (Array, error) {
	defer runtime.KeepAlive(p.handle)
	numbers, ndim := lengths(shape)
	return made(depth, func(out **C.tn_array) C.tn_status {
		return C.tn_array_empty(p.c(), C.tn_dtype(dtype), ndim, numbers, nil, out)
	})
}

// PoolStats are a pool's numbers, in bytes and blocks.
type PoolStats struct {
	// Bytes of live blocks, and the most they were.
	InUse, PeakInUse uint64
	// What the pool has from the system.
	Reserved uint64
	// The limit of Reserved; 0: none.
	Limit uint64
	// Live blocks, and allocations that succeeded.
	LiveBlocks, Allocations uint64
}

// Stats returns the pool's numbers, now.
func (p Pool) Stats() (PoolStats, error) {
	defer runtime.KeepAlive(p.handle)
	stats := C.tn_pool_stats{size: C.sizeof_tn_pool_stats}
	if err := call(func() C.tn_status { return C.tn_pool_query(p.c(), &stats) }); err != nil {
		return PoolStats{}, err
	}
	return PoolStats{
		InUse:       uint64(stats.in_use_bytes),
		PeakInUse:   uint64(stats.peak_in_use_bytes),
		Reserved:    uint64(stats.reserved_bytes),
		Limit:       uint64(stats.limit_bytes),
		LiveBlocks:  uint64(stats.live_blocks),
		Allocations: uint64(stats.allocation_count),
	}, nil
}

// Trim returns free memory to the system, except the first `keep` bytes, and says how many bytes were returned.
func (p Pool) Trim(keep int) (int, error) {
	defer runtime.KeepAlive(p.handle)
	var released C.size_t
	err := call(func() C.tn_status { return C.tn_pool_trim(p.c(), C.size_t(keep), &released) })
	return int(released), err
}

// SetDefault makes it the default pool of its device: for all threads, in every language, that set no current pool. The zero Pool restores
// the initial default pools of all devices.
func (p Pool) SetDefault() error {
	defer runtime.KeepAlive(p.handle)
	return call(func() C.tn_status { return C.tn_pool_set_default(p.c()) })
}
