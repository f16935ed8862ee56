/** @file
 * How tests observe and control the simulated CUDA driver.
 *
 * The simulator's libcuda.so.1 exports these functions beside the driver's own. Programs look them up with dlsym, so that they run with a
 * real driver too, which has no `tenure_sim_version`. No call of them counts as a call of the driver. Results are the driver's codes: 0 is
 * success. All may be called from any thread, before and after cuInit.
 *
 * Environment, read when the library is first used and by tenure_sim_reset (numbers may end in K, M or G):
 *   TENURE_SIM_SEED        the seed of every random choice; default 1
 *   TENURE_SIM_DEVICES     the number of devices, 0 to 8; default 1. With 0, cuInit returns "no device" (100)
 *   TENURE_SIM_MEMORY      the bytes of each device; default 1G. Unused memory takes no memory of the host
 *   TENURE_SIM_PEERS       0: devices cannot reach each other's memory; default 1
 *   TENURE_SIM_VERSION     what cuDriverGetVersion reports; default 13000. If it is set when the library is loaded, functions that later
 *                          drivers introduced are hidden, as with TENURE_SIM_MISSING
 *   TENURE_SIM_PACE        when queued work runs: random, eager, lazy, manual (see "pace" below); default random
 *   TENURE_SIM_IDLE_US     after this time without a call, in microseconds, the device runs work by itself; default 5000
 *   TENURE_SIM_PATIENCE_MS a call that waits longer, in milliseconds, prints to stderr what it waits for; default 10000
 *   TENURE_SIM_JUNK        1: fresh device memory holds junk; 0: zeros; default 1
 *   TENURE_SIM_REUSE       1: addresses of freed device memory are given out again at once; 0: as late as possible; default 0
 *   TENURE_SIM_ASKEW       of 256 allocations of 2 MiB or more, how many have an address that is no multiple of 2 MiB, but of 512 only;
 *                          default 0, and 64 with seeds that are multiples of 4. Smaller ones are always aligned to 512
 *   TENURE_SIM_FREE_WAITS  1: cuMemFree and cuMemFreeHost wait for the device, as the real driver does; 0: they do not, and work that
 *                          still uses the memory fails with 700; default 1
 *   TENURE_SIM_ABORT       1: a call with a stream that was destroyed, or never was one, prints which and ends the process, as a driver
 *                          may; 0: it returns 400; default 1
 *   TENURE_SIM_TRACE       1: each call with its result, and each piece of work when it runs, is printed to stderr; default 0
 *   TENURE_SIM_MISSING     functions to hide, separated by commas: an exact name (cuMemCreate), or a name without version for all its
 *                          versions (cuMemAlloc). Neither dlsym nor cuGetProcAddress finds them. Read only when the library is loaded
 *   CUDA_VISIBLE_DEVICES   ordinals, as for the real driver
 */
#ifndef TENURE_SIM_H
#define TENURE_SIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Writes the version of this interface, 1. Only the simulator has this symbol. */
int tenure_sim_version(unsigned *version);

/** Restores the state after the start of the process: no context, memory, stream, fault, hold or count is left, the settings are those of
 * the environment, and cuInit has not been called. Handles from before stay invalid. No other thread may be inside the driver. */
int tenure_sim_reset(void);

/** Changes a setting by its name:
 *   "seed"        starts the random choices over from another seed
 *   "pace"        0 random: each call lets some of the queued work run or none, as the seed decides; 1 eager: all work that can run has run
 *                 when a call returns; 2 lazy: only polls, waiting calls and idle time run work; 3 manual: only waiting calls and
 *                 tenure_sim_step run work
 *   "idle_us", "junk", "reuse", "askew", "free_waits", "abort", "peers", "version", "trace"  as in the environment
 *   "same_context"  1: the primary context after cuDevicePrimaryCtxReset has the handle of the one before; 0: another. Without it, as the
 *                 seed decides. Its number (cuCtxGetId) is new in either case
 *   "ptx"         the newest version of PTX that the driver accepts, times ten: newer is 222. Without it, that of the driver's version
 *   "load_waits"  1: cuModuleLoadData waits for all work of the context, as drivers do that load lazily
 *   "lost_peer_writes"  1: a peer copy into memory of a pool that the source's device may access writes nothing, as with driver 590
 *   "green"       1: streams that are created from now on belong to a green context of the current device
 *   "devices", "memory"  before cuInit only, else 401 */
int tenure_sim_set(const char *name, uint64_t value);

/** Reads a number by its name:
 *   "seed"                                    the current seed
 *   "executed", "pending"                     pieces of work that ran, and that did not run yet
 *   "device_synchronizes"                     calls of cuCtxSynchronize
 *   "implicit_synchronizes"                   calls that free memory and found unfinished work
 *   "copied_to_device", "copied_from_device", "copied_on_device"   bytes of copies that ran
 *   "direct_peer_copies", "staged_peer_copies"  copies between two devices that ran: those where the device of the stream may access both
 *                                             sides, and those that a driver stages through host memory
 *   "launch_attributes"                       the attributes of the last cuLaunchKernelEx, a bit for each by its number
 *   "host_alloc_flags", "host_register_flags" the flags of the last cuMemHostAlloc and cuMemHostRegister
 *   "host_alloc_node"                         1 + the NUMA node that the thread of the last cuMemHostAlloc preferred then; 0: none
 *   "allocations" (by cuMemAlloc), "imported" (open, of other processes), "pooled", "managed", "physical", "reserved", "pinned",
 *   "streams", "events", "contexts", "blocking_events" (made with CU_EVENT_BLOCKING_SYNC)
 *                                             how many exist now
 *   "faults"                                  faults that were not injected yet, or go on */
int tenure_sim_get(const char *name, uint64_t *value);

/** Sets what cuDeviceGetAttribute reports for a device; after cuInit. */
int tenure_sim_set_attribute(int device, int attribute, int value);

/** Injects a fault: the nth call of a function from now (1: the next) returns `code`, and so do the `times` - 1 calls after it; 0: all
 * calls after it. A call that fails does nothing else. Any code is accepted, also one that does not exist.
 *
 * `name` is a function, without regard to its version and stream suffix. "*" is any function except cuGetErrorName, cuGetErrorString
 * and cuGetProcAddress, which never fail on demand. "*alloc" is any function that allocates. "*work" is any piece of work that runs on
 * a stream.
 *
 * The codes 214, 700, 702, 709, 710 and 714 to 719 lose the current context: every later call in it returns that code. A fault of
 * "*work" loses the context of its stream, whatever the code. */
int tenure_sim_fail(const char *name, uint64_t nth, uint64_t times, unsigned code);

/** Removes all faults that were not injected yet. */
int tenure_sim_clear_faults(void);

/** Loses the contexts of a device with `code`, as after an illegal access. A context that is created later works. */
int tenure_sim_break_device(int device, unsigned code);

/** Calls of a closed function block at their beginning until it is opened: for tests of what a program holds locked meanwhile. They
 * count as calls when they begin. tenure_sim_open with "" opens all functions. */
int tenure_sim_close(const char *name);
int tenure_sim_open(const char *name);

/** Holds a stream: its work waits until the stream is released, also if the stream is destroyed meanwhile. 0, 1 and 2 mean streams of the
 * calling thread's context. Freeing memory waits for held work too, as the real driver would (see free_waits). */
int tenure_sim_hold(void *stream);
int tenure_sim_release(void *stream);
int tenure_sim_release_all(void);

/** Slows a stream down: each piece of its work takes at least this time; 0: no longer. */
int tenure_sim_slow(void *stream, uint64_t microseconds);

/** Runs at most `most` pieces of work now and returns how many ran. Fewer than `most`: nothing else could run. */
uint64_t tenure_sim_step(uint64_t most);

/** Returns how often a function was called, without regard to version and stream suffix; for "", the calls of all functions. */
uint64_t tenure_sim_calls(const char *name);

/** Resets the counts of calls, synchronisations, executed work and copied bytes to 0. */
int tenure_sim_reset_calls(void);

/** Calls `visit` for each function that was called, by its exact name, sorted by name. */
void tenure_sim_list_calls(void (*visit)(const char *name, uint64_t calls, void *data), void *data);

/** Writes what kind of work failed last on a stream ("copy", "fill", ...). */
int tenure_sim_last_failure(char *text, size_t bytes);

/** Returns where the bytes of device memory really are, for tests and for kernels. NULL if `device` may not use all of them now. They
 * may be used while the memory is allocated and no work runs on it. */
void *tenure_sim_bytes(uint64_t address, size_t bytes, int device);

/** The launch, as a kernel sees it. */
typedef struct tenure_sim_launch {
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  int device;
} tenure_sim_launch;

/** A kernel's host implementation: does the work of all threads and returns 0, or a result code with which the context is lost (700 if
 * tenure_sim_bytes returned NULL). It is called when its stream reaches the launch, and must not call the driver. */
typedef unsigned (*tenure_sim_kernel)(const tenure_sim_launch *launch, void **parameters);

/** Gives every module a kernel of this name. `sizes` are the bytes of its `count` parameters, which are copied at the launch. If
 * `waits` is not 0, the kernel may wait for the host and runs on a thread of its own. Other kernels run on the thread that lets the
 * device work, so that one seed gives one order. */
int tenure_sim_register_kernel(const char *name, tenure_sim_kernel kernel, const size_t *sizes, size_t count, int waits);

/** Sets what cuFuncGetAttribute reports for functions of a registered kernel, unless a program sets it: 0 is the maximum of threads per
 * block, 1 the static shared bytes, 8 the maximum of dynamic shared bytes (48 KiB - the static ones). Launches keep to 0 and 8. */
int tenure_sim_set_kernel_attribute(const char *name, int attribute, int value);

#ifdef __cplusplus
}
#endif

#endif
