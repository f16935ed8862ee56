//! Which accesses the processor allows to pages, and what is told of an access that it refused.
//!
//! Contract: a refused access stops the process as it would without this module. First the one report that was registered runs in the
//! signal handler, on the thread and the stack of the fault. Handlers of the program that were there before run after it.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

/// What the processor allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageAccess {
    /// Nothing.
    None,
    /// Reads.
    Read,
    /// Reads and writes.
    Write,
}

/// Sets the access of whole pages. False: the process has too many mappings to split one.
///
/// # Safety
/// - the pages are in mappings of the caller's, and nobody relies on accesses that end.
pub unsafe fn set(start: usize, bytes: usize, access: PageAccess) -> bool {
    let protection = match access {
        PageAccess::None => libc::PROT_NONE,
        PageAccess::Read => libc::PROT_READ,
        PageAccess::Write => libc::PROT_READ | libc::PROT_WRITE,
    };
    // SAFETY: the caller's obligation.
    super::os::keep_errno(|| unsafe { libc::mprotect(start as *mut c_void, bytes, protection) == 0 })
}

/// The most mappings that a process may have. Asks the system once.
pub fn most_mappings() -> usize {
    static MOST: AtomicUsize = AtomicUsize::new(0);
    match MOST.load(Ordering::Relaxed) {
        0 => {
            let most = super::os::number_in(&[b"/proc/sys/vm/max_map_count"]).map_or(65530, |most| most as usize);
            MOST.store(most, Ordering::Relaxed);
            most
        }
        most => most,
    }
}

/// An access that the processor refused.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The address of the first byte.
    pub address: usize,
    /// Whether it was a write; None: the processor does not tell.
    pub writes: Option<bool>,
}

/// Tells of a fault. It runs in a signal handler: it may neither allocate nor wait for a lock.
pub type Report = fn(Fault);

/// The registered report; 0: none.
static REPORT: AtomicUsize = AtomicUsize::new(0);

/// The signals of refused accesses.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The program's own handlers, one for each signal: a `libc::sigaction` that [`report_faults`] leaked.
static BEFORE: [AtomicUsize; SIGNALS.len()] = [const { AtomicUsize::new(0) }; SIGNALS.len()];

/// Registers the report, once. Handlers that the program installs later replace it.
pub fn report_faults(report: Report) {
    if REPORT.compare_exchange(0, report as usize, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return;
    }
    for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
        // SAFETY: plain data, for which zeros are valid.
        let (mut ours, mut old): (libc::sigaction, libc::sigaction) = unsafe { core::mem::zeroed() };
        // SAFETY: asks for the present handler, into a variable of that type.
        if unsafe { libc::sigaction(signal, core::ptr::null(), &mut old) } != 0 {
            continue;
        }
        let Some(kept) = super::os::map_forever(size_of::<libc::sigaction>()) else { return };
        // SAFETY: new memory of that size, aligned to a page.
        unsafe { kept.cast::<libc::sigaction>().write(old) };
        before.store(kept.as_ptr() as usize, Ordering::Release);
        ours.sa_sigaction = on_fault as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        ours.sa_mask = old.sa_mask;
        // SAFETY: a handler of the type that SA_SIGINFO says, which lives as long as the library: it is pinned.
        unsafe { libc::sigaction(signal, &ours, core::ptr::null_mut()) };
    }
    super::os::pin_library();
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system's description of this signal.
    let (address, code) = unsafe { ((*info).si_addr() as usize, (*info).si_code) };
    // Positive codes are the processor's; a signal that somebody sent has none.
    if code > 0
        && let report @ 1.. = REPORT.load(Ordering::Acquire)
    {
        // SAFETY: stored by `report_faults` from a function of this type.
        let report = unsafe { core::mem::transmute::<usize, Report>(report) };
        super::os::keep_errno(|| report(Fault { address, writes: writes(context) }));
    }
    pass_on(signal, info, context);
}

/// Whether the refused access was a write.
#[cfg(target_arch = "x86_64")]
fn writes(context: *mut c_void) -> Option<bool> {
    /// The bit of the page fault's error code that says so; Intel's manual, volume 3, 4.7.
    const WRITE: i64 = 1 << 1;
    // SAFETY: the handler's third argument, see sigaction(2).
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    Some(context.uc_mcontext.gregs[libc::REG_ERR as usize] & WRITE != 0)
}

#[cfg(not(target_arch = "x86_64"))]
fn writes(_context: *mut c_void) -> Option<bool> {
    None
}

/// Does what would have been done without the handler.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let at = SIGNALS.iter().position(|known| *known == signal).unwrap_or(0);
    // SAFETY: NULL, or what `report_faults` leaked.
    let before = unsafe { (BEFORE[at].load(Ordering::Acquire) as *const libc::sigaction).as_ref() };
    match before {
        Some(before) if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN => {
            let handler = before.sa_sigaction;
            // SAFETY: the program's handler, of the type that its flags say, with the arguments of the system.
            unsafe {
                if before.sa_flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                        core::mem::transmute(handler);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(c_int) = core::mem::transmute(handler);
                    handler(signal);
                }
            }
        }
        _ => {
            // SAFETY: plain data, for which zeros are valid; the default action, which has no handler. The instruction faults again at
            // return, and then the system ends the process there.
            unsafe {
                let mut default: libc::sigaction = core::mem::zeroed();
                default.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &default, core::ptr::null_mut());
            }
        }
    }
}
