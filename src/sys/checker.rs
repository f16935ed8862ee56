//! Memory checkers: reports blocks to valgrind's memcheck and AddressSanitizer, so that they show a use after free with
//! both stacks, and an access behind a block.
//!
//! Contract: nothing is linked or loaded for this. Memcheck is detected by an instruction sequence that has no effect
//! elsewhere, AddressSanitizer by its functions, which are bound weakly. A process is checked from its start or not at
//! all. Without a checker every function here costs one relaxed load. The fastest paths do not call them; a checked
//! process takes the slow path.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// The checker that was detected; 0: not checked yet.
static FOUND: AtomicU8 = AtomicU8::new(0);
const DETECTED: u8 = 1;
const MEMCHECK: u8 = 2;
const SANITIZER: u8 = 4;

/// Client requests of valgrind and memcheck (`valgrind.h`, `memcheck.h`); their numbers never change.
const MALLOCLIKE_BLOCK: usize = 0x1301;
const FREELIKE_BLOCK: usize = 0x1302;
const RESIZEINPLACE_BLOCK: usize = 0x130b;
const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;
const MAKE_MEM_DEFINED: usize = 0x4d43_0002;
const MAKE_MEM_NOACCESS: usize = 0x4d43_0000;
const CHANGE_ERR_DISABLEMENT: usize = 0x1801;

/// Whether a checker runs in this process.
#[inline]
pub fn watches() -> bool {
    found() != DETECTED
}

#[inline]
fn found() -> u8 {
    match FOUND.load(Ordering::Relaxed) {
        0 => detect(),
        found => found,
    }
}

#[cold]
fn detect() -> u8 {
    let byte = 0u8;
    // Only memcheck answers this request. Valgrind's other tools must not: they count instructions, which are to be
    // those of the fast path.
    let memcheck = request([MAKE_MEM_DEFINED, &raw const byte as usize, 1, 0, 0, 0]) != 0;
    let sanitizer = sanitizer::functions().is_some();
    let found = DETECTED | if memcheck { MEMCHECK } else { 0 } | if sanitizer { SANITIZER } else { 0 };
    FOUND.store(found, Ordering::Relaxed);
    found
}

/// Bytes behind each block that no other block has, while a checker runs. An access to them is reported.
const RED_ZONE_BYTES: usize = 16;

/// The size of the red zone behind a block: 0 without a checker.
pub fn red_zone_bytes() -> usize {
    if watches() { RED_ZONE_BYTES } else { 0 }
}

/// A block of host memory.
#[derive(Clone, Copy)]
pub struct Watched {
    /// The address of the first byte.
    pub address: usize,
    /// The number of bytes that its user may access.
    pub bytes: usize,
    /// The number of bytes from its address on that no other block has. At least `bytes`.
    pub extent: usize,
    /// Whether it is in no other block that the checker knows. False for memory of a caller's upstream.
    pub outermost: bool,
}

impl Watched {
    /// The block was allocated; `defined`: its bytes may be read.
    pub fn hand_out(self, defined: bool) {
        let Watched { address, bytes, outermost, .. } = self;
        let found = found();
        if found & MEMCHECK != 0 {
            if outermost {
                request([MALLOCLIKE_BLOCK, address, bytes, 0, usize::from(defined), 0]);
            } else {
                // The upstream and its caller decide which bytes are defined.
                request([MAKE_MEM_DEFINED, address, bytes, 0, 0, 0]);
            }
        }
        if found & SANITIZER != 0 {
            sanitizer::unpoison(address, bytes);
        }
        self.close_end();
    }

    /// Makes the bytes behind the block inaccessible.
    fn close_end(self) {
        shut(self.address + self.bytes, self.extent - self.bytes);
    }

    /// The block was freed.
    pub fn give_back(self) {
        if self.outermost && found() & MEMCHECK != 0 {
            request([FREELIKE_BLOCK, self.address, 0, 0, 0, 0]);
        }
        shut(self.address, self.extent);
    }

    /// The block was resized in place to `bytes` bytes of an extent that may have changed, too; `defined`: new bytes
    /// may be read.
    pub fn resize(self, bytes: usize, extent: usize, defined: bool) {
        let found = found();
        let end = self.address + self.bytes;
        if found & MEMCHECK != 0 && bytes != self.bytes {
            if self.outermost {
                request([RESIZEINPLACE_BLOCK, self.address, self.bytes, bytes, 0, 0]);
            }
            match bytes.checked_sub(self.bytes) {
                Some(more) if defined || !self.outermost => request([MAKE_MEM_DEFINED, end, more, 0, 0, 0]),
                Some(more) => request([MAKE_MEM_UNDEFINED, end, more, 0, 0, 0]),
                None => request([MAKE_MEM_NOACCESS, self.address + bytes, self.bytes - bytes, 0, 0, 0]),
            };
        }
        if found & SANITIZER != 0 {
            match bytes.checked_sub(self.bytes) {
                Some(more) => sanitizer::unpoison(end, more),
                None => sanitizer::poison(self.address + bytes, self.bytes - bytes),
            }
        }
        Watched { bytes, extent, ..self }.close_end();
    }
}

/// The library accesses memory without blocks, or gives it to another user.
pub fn open(address: usize, bytes: usize) {
    let found = found();
    if found & MEMCHECK != 0 {
        request([MAKE_MEM_DEFINED, address, bytes, 0, 0, 0]);
    }
    if found & SANITIZER != 0 {
        sanitizer::unpoison(address, bytes);
    }
}

/// Ends the access that `open` began.
pub fn shut(address: usize, bytes: usize) {
    let found = found();
    if bytes == 0 {
        return;
    }
    if found & MEMCHECK != 0 {
        request([MAKE_MEM_NOACCESS, address, bytes, 0, 0, 0]);
    }
    if found & SANITIZER != 0 {
        sanitizer::poison(address, bytes);
    }
}

/// What is told of an error: the address, and whether it was a write.
pub type ErrorReport = fn(usize, bool);

/// Calls `report` after each error that AddressSanitizer reports, on the thread that made it. A callback that the
/// program set before is replaced, because AddressSanitizer keeps one and does not tell which.
pub fn report_errors(report: ErrorReport) {
    if found() & SANITIZER != 0 {
        sanitizer::report_errors(report);
    }
}

/// Runs `work` on this thread without reports of memcheck: it touches memory of which the library does not know whether
/// it may.
pub fn without_reports<R>(work: impl FnOnce() -> R) -> R {
    if found() & MEMCHECK == 0 {
        return work();
    }
    request([CHANGE_ERR_DISABLEMENT, 1, 0, 0, 0, 0]);
    let result = work();
    request([CHANGE_ERR_DISABLEMENT, usize::MAX, 0, 0, 0, 0]);
    result
}

/// Makes a client request; 0 without valgrind.
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
fn request(arguments: [usize; 6]) -> usize {
    let result: usize;
    // SAFETY: four rotations that together are one by 128 bits, and an exchange of a register with itself; valgrind
    // reads the arguments.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            inout("rdx") 0usize => result,
            in("rax") &raw const arguments,
            options(nostack)
        );
    }
    result
}

/// Makes a client request; 0 without valgrind.
#[cfg(all(target_arch = "aarch64", target_os = "linux", not(miri)))]
fn request(arguments: [usize; 6]) -> usize {
    let result: usize;
    // SAFETY: four rotations that together are one by 128 bits, and a move of a register to itself; valgrind reads the
    // arguments.
    unsafe {
        core::arch::asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            inout("x3") 0usize => result,
            in("x4") &raw const arguments,
            options(nostack)
        );
    }
    result
}

/// There is no valgrind for this processor.
#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux", not(miri))))]
fn request(_arguments: [usize; 6]) -> usize {
    0
}

mod sanitizer {
    use super::{AtomicUsize, ErrorReport, Ordering};
    use core::ffi::{c_char, c_int, c_void};

    type Change = unsafe extern "C" fn(*const c_void, usize);

    /// A function of AddressSanitizer's interface, if the runtime is loaded.
    macro_rules! function {
        ($name:literal, $kind:ty) => {
            match crate::sys::weak::weak_address!($name) {
                0 => None,
                // SAFETY: the interface's function of that name has this type.
                address => Some(unsafe { core::mem::transmute::<usize, $kind>(address) }),
            }
        };
    }

    /// The functions that poison and unpoison, if the runtime is loaded.
    pub fn functions() -> Option<(Change, Change)> {
        Some((function!("__asan_poison_memory_region", Change)?, function!("__asan_unpoison_memory_region", Change)?))
    }

    pub fn poison(address: usize, bytes: usize) {
        if let Some((poison, _)) = functions() {
            // SAFETY: memory of the process; its contents are not accessed.
            unsafe { poison(address as *const _, bytes) };
        }
    }

    pub fn unpoison(address: usize, bytes: usize) {
        if let Some((_, unpoison)) = functions() {
            // SAFETY: as in `poison`.
            unsafe { unpoison(address as *const _, bytes) };
        }
    }

    /// The registered report; 0: none.
    static REPORT: AtomicUsize = AtomicUsize::new(0);

    pub fn report_errors(report: ErrorReport) {
        type Set = unsafe extern "C" fn(unsafe extern "C" fn(*const c_char));
        REPORT.store(report as usize, Ordering::Release);
        if let Some(set) = function!("__asan_set_error_report_callback", Set) {
            // SAFETY: the function lives as long as the library, which is pinned.
            unsafe { set(on_error) };
        }
    }

    /// AddressSanitizer has printed its report. For faults of the processor the address is 0.
    unsafe extern "C" fn on_error(_text: *const c_char) {
        type Address = unsafe extern "C" fn() -> *const c_void;
        type Kind = unsafe extern "C" fn() -> c_int;
        let address = function!("__asan_get_report_address", Address);
        let kind = function!("__asan_get_report_access_type", Kind);
        if let (Some(address), Some(kind), report @ 1..) = (address, kind, REPORT.load(Ordering::Acquire)) {
            // SAFETY: called in a report of an error.
            let (address, kind) = unsafe { (address() as usize, kind()) };
            // SAFETY: stored by `report_errors` from a function of this type.
            let report = unsafe { core::mem::transmute::<usize, ErrorReport>(report) };
            report(address, kind == 1);
        }
    }
}
