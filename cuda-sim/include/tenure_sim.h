/** @file
 * What tests ask of the simulated CUDA driver, and order from it.
 *
 * The functions are exported by the simulator's libcuda.so.1 beside the driver's own; programs look them up with dlsym, so that
 * they run with a real driver too (`tenure_sim_version` is not there then). None of them counts as a call of the driver. Results
 * are the driver's codes: 0 is success. All may be called from any thread, before and after cuInit.
 *
 * Environment, read when the library is first used and by tenure_sim_reset (numbers may end in K, M or G):
 *   TENURE_SIM_SEED        seed of every choice; 1
 *   TENURE_SIM_DEVICES     number of devices, 0 to 8; 1. With 0, cuInit says "no device" (100)
 *   TENURE_SIM_MEMORY      bytes of each device; 1G. What is not used costs nothing
 *   TENURE_SIM_PEERS       0: devices cannot reach each other's memory; 1
 *   TENURE_SIM_VERSION     what cuDriverGetVersion says; 13000. Functions that came later are not there, as TENURE_SIM_MISSING says,
 *                          if it is set when the library is loaded
 *   TENURE_SIM_PACE        random, eager, lazy, manual: when queued work runs (see "pace" below); random
 *   TENURE_SIM_IDLE_US     after so many microseconds without a call the device works on by itself; 5000
 *   TENURE_SIM_PATIENCE_MS a call that waits longer says to stderr what it waits for; 10000
 *   TENURE_SIM_JUNK        0: fresh device memory is zero; 1: it is junk
 *   TENURE_SIM_REUSE       1: addresses of freed device memory are given out again at once; 0: as late as possible
 *   TENURE_SIM_FREE_WAITS  0: cuMemFree and cuMemFreeHost do not wait for the device, so that work which still uses the memory
 *                          fails with 700; 1: they wait, as the real driver does
 *   TENURE_SIM_TRACE       1: each call with its result, and each piece of work when it runs, goes to stderr
 *   TENURE_SIM_MISSING     functions that this driver does not have, separated by commas: exact names (cuMemCreate), or a name
 *                          without its version for all of them (cuMemAlloc). dlsym does not find them, nor does
 *                          cuGetProcAddress. Only read when the library is loaded
 *   CUDA_VISIBLE_DEVICES   ordinals, as for the real driver
 */
#ifndef TENURE_SIM_H
#define TENURE_SIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of this interface, 1. Its presence tells that the driver is the simulator. */
int tenure_sim_version(unsigned *version);

/** As after the start of the process: no context, memory, stream, fault, hold or count is left, settings are the environment's, and
 * cuInit has not been called. Handles from before stay wrong. No other thread may be inside the driver. */
int tenure_sim_reset(void);

/** Changes a setting by its name:
 *   "seed"        starts the choices over from another seed
 *   "pace"        0 random: each call lets some of the queued work run or none, as the seed says; 1 eager: all that can run has run
 *                 when a call returns; 2 lazy: only polls, waiting calls and idle time; 3 manual: only waiting calls and tenure_sim_step
 *   "idle_us", "junk", "reuse", "free_waits", "peers", "version", "trace"  as the environment
 *   "devices", "memory"  before cuInit only, else 401 */
int tenure_sim_set(const char *name, uint64_t value);

/** Asks for a number by its name:
 *   "seed", "executed" (pieces of work that ran), "pending" (that did not yet),
 *   "device_synchronizes" (cuCtxSynchronize), "implicit_synchronizes" (calls that free memory and met unfinished work),
 *   "copied_to_device", "copied_from_device", "copied_on_device" (bytes of copies that ran),
 *   "host_alloc_flags", "host_register_flags" (of the last cuMemHostAlloc and cuMemHostRegister),
 *   "allocations" (by cuMemAlloc), "pooled", "managed", "physical", "reserved", "pinned", "streams", "events", "contexts": how many
 *   there are now,
 *   "faults" (that did not strike yet, or strike on) */
int tenure_sim_get(const char *name, uint64_t *value);

/** What cuDeviceGetAttribute says of a device from now on; after cuInit. */
int tenure_sim_set_attribute(int device, int attribute, int value);

/** The nth call of a function from now (1: the next) fails with `code`, and so do the `times` - 1 calls after it; 0: all after it.
 * The name is the function's, its version and stream suffix do not matter; "*" is any function (but for cuGetErrorName,
 * cuGetErrorString and cuGetProcAddress, which never fail on demand), "*alloc" any function that allocates, "*work" any piece of work
 * that runs on a stream. The call that fails does nothing else. Any code will do, also one that nobody knows. Codes
 * after which a context is lost (214, 700, 702, 709, 710, 714 to 719) lose the current one, and whatever fails in "*work" loses the
 * stream's: every later call in it fails with that code. */
int tenure_sim_fail(const char *name, uint64_t nth, uint64_t times, unsigned code);

/** Takes back every fault that did not strike yet. */
int tenure_sim_clear_faults(void);

/** The contexts of a device are lost with `code`, as after an illegal access; a new context is sound. */
int tenure_sim_break_device(int device, unsigned code);

/** Calls of a function do not return, nor begin, until it is opened again: who holds a lock meanwhile? "" opens all of them. They
 * count as calls when they come. */
int tenure_sim_close(const char *name);
int tenure_sim_open(const char *name);

/** A stream stalls: its work waits until it is released, also when the stream is destroyed meanwhile. 0, 1 and 2 mean those of the
 * calling thread's context. Freeing memory waits for stalled work too, as the real driver would (see free_waits). */
int tenure_sim_hold(void *stream);
int tenure_sim_release(void *stream);
int tenure_sim_release_all(void);

/** A stream is slow: each piece of its work takes at least so many microseconds; 0: no longer. */
int tenure_sim_slow(void *stream, uint64_t microseconds);

/** Runs at most so many pieces of work now; returns how many ran. Fewer: nothing else could run. */
uint64_t tenure_sim_step(uint64_t most);

/** Calls so far of a function (version and stream suffix do not matter); of all functions for "". */
uint64_t tenure_sim_calls(const char *name);

/** Counts of calls, of synchronises, of executed work and of copied bytes start over at 0. */
int tenure_sim_reset_calls(void);

/** Calls `visit` for each function that was called, by its exact name, in the order of names. */
void tenure_sim_list_calls(void (*visit)(const char *name, uint64_t calls, void *data), void *data);

/** What the last piece of work that failed on a stream was ("copy", "fill", ...). */
int tenure_sim_last_failure(char *text, size_t bytes);

/** Where the bytes of device memory really are: for tests that look behind the scenes, and for kernels. NULL if `device` may not use
 * all of them at this moment. They may be touched while the memory is allocated and nothing runs on it. */
void *tenure_sim_bytes(uint64_t address, size_t bytes, int device);

/** What a kernel is told of its launch. */
typedef struct tenure_sim_launch {
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  int device;
} tenure_sim_launch;

/** A kernel's host implementation: does the work of all threads and returns 0, or a result code with which the context is lost (700 if
 * tenure_sim_bytes gave NULL). It is called when its stream gets there, and must not call the driver. */
typedef unsigned (*tenure_sim_kernel)(const tenure_sim_launch *launch, void **parameters);

/** Every module has a kernel of this name from now on. `sizes` are the bytes of its `count` parameters; they are copied at the launch.
 * `waits` not 0: it may wait for the host, and so runs on a thread of its own; all others run on whatever thread lets the device work,
 * so that the same seed gives the same order. */
int tenure_sim_register_kernel(const char *name, tenure_sim_kernel kernel, const size_t *sizes, size_t count, int waits);

#ifdef __cplusplus
}
#endif

#endif
