//! Which accesses the processor allows to pages, and what is told of an access that it refused.
//!
//! Contract: a refused access stops the process as it would without this module. First the one report that was
//! registered runs in the signal handler, on the thread and the stack of the fault. Then comes what the program had set
//! before, as if the system did it: its handler with its flags, an ignored signal, or the end of the process.

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
            let most = super::machine::number_in(&[b"/proc/sys/vm/max_map_count"]).map_or(65530, |most| most as usize);
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
    /// What refused it.
    pub cause: Cause,
}

/// What refused an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The protection of the page, which [`set`] sets.
    Protection,
    /// No page is mapped there.
    Unmapped,
    /// The system cannot provide the page: a mapped file has become shorter, or memory is damaged.
    Missing,
}

impl Cause {
    fn of(signal: c_int, code: c_int) -> Cause {
        /// `SEGV_ACCERR` of asm-generic/siginfo.h.
        const PROTECTION: c_int = 2;
        match (signal, code) {
            (libc::SIGBUS, _) => Cause::Missing,
            (_, PROTECTION) => Cause::Protection,
            _ => Cause::Unmapped,
        }
    }
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
        // The signal interrupts no more system calls than before.
        let restarts =
            if old.sa_sigaction == libc::SIG_IGN { libc::SA_RESTART } else { old.sa_flags & libc::SA_RESTART };
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | restarts;
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
        let fault = Fault { address, writes: writes(context), cause: Cause::of(signal, code) };
        super::os::keep_errno(|| report(fault));
    }
    pass_on(signal, code <= 0, info, context);
}

/// Whether the refused access was a write.
#[cfg(target_arch = "x86_64")]
fn writes(context: *mut c_void) -> Option<bool> {
    /// The exception whose error code tells: a page fault; Intel's manual, volume 3, 6.15.
    const PAGE_FAULT: i64 = 14;
    /// The bit of that error code; 4.7.
    const WRITE: i64 = 1 << 1;
    // SAFETY: the handler's third argument, see sigaction(2).
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    (registers[libc::REG_TRAPNO as usize] == PAGE_FAULT).then(|| registers[libc::REG_ERR as usize] & WRITE != 0)
}

/// Whether the refused access was a write.
#[cfg(target_arch = "aarch64")]
fn writes(context: *mut c_void) -> Option<bool> {
    // SAFETY: the handler's third argument, see sigaction(2).
    let registers = unsafe { &raw const (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    // The address of the fault, 31 registers, sp, pc and pstate; what follows them is aligned to 16 bytes
    // (asm/sigcontext.h).
    let records = registers.cast::<u8>().wrapping_add((35 * size_of::<u64>()).next_multiple_of(16));
    // SAFETY: by the same header, records follow, up to one whose words are 0.
    unsafe { writes_by_records(records) }
}

/// Whether the refused access was a write, by the syndrome among a signal's records (Arm Architecture Reference Manual,
/// ESR_EL1). None: an emulator may leave it out.
///
/// # Safety
/// - Records may be read from `record` on: each begins with its kind and its size in bytes, and the last one has kind
///   0.
#[cfg(target_arch = "aarch64")]
unsafe fn writes_by_records(mut record: *const u8) -> Option<bool> {
    /// `ESR_MAGIC` of asm/sigcontext.h.
    const SYNDROME: u32 = 0x4553_5201;
    const WRITE: u64 = 1 << 6;
    loop {
        // SAFETY: the caller's obligation.
        match unsafe { record.cast::<[u32; 2]>().read() } {
            // SAFETY: the record of the syndrome has it behind its head.
            [SYNDROME, _] => return Some(unsafe { record.add(8).cast::<u64>().read() } & WRITE != 0),
            [0, _] | [_, 0] => return None,
            [_, bytes] => record = record.wrapping_add(bytes as usize),
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn writes(_context: *mut c_void) -> Option<bool> {
    None
}

/// Does what the system would have done without the handler. `is_sent`: a process sent the signal, so no instruction
/// faults again.
fn pass_on(signal: c_int, is_sent: bool, info: *mut libc::siginfo_t, context: *mut c_void) {
    let at = SIGNALS.iter().position(|known| *known == signal).unwrap_or(0);
    let kept = BEFORE[at].load(Ordering::Acquire);
    // SAFETY: NULL, or what `report_faults` leaked.
    let before = unsafe { (kept as *const libc::sigaction).as_ref() };
    match before {
        Some(before) if before.sa_sigaction == libc::SIG_IGN && is_sent => {}
        Some(before) if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN => {
            // Of several threads, one gets a handler that runs once.
            if before.sa_flags & libc::SA_RESETHAND != 0
                && BEFORE[at].compare_exchange(kept, 0, Ordering::AcqRel, Ordering::Relaxed).is_err()
            {
                return end_as_default(signal, is_sent);
            }
            if before.sa_flags & libc::SA_NODEFER != 0 {
                unblock(signal, &before.sa_mask);
            }
            // SAFETY: the program's handler, of the type that its flags say, with the arguments of the system.
            unsafe { call(before, signal, info, context) }
        }
        // Also a fault whose signal is ignored: the system ends the process.
        _ => end_as_default(signal, is_sent),
    }
}

/// Calls a handler.
///
/// # Safety
/// - It is a handler, and the arguments are those of the system.
unsafe fn call(action: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let handler = action.sa_sigaction;
    // SAFETY: the caller's obligation; the flags say of which type it is.
    unsafe {
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = core::mem::transmute(handler);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(c_int) = core::mem::transmute(handler);
            handler(signal);
        }
    }
}

/// Lets a signal come while its handler runs, which may never return. `mask`: what the handler blocks anyway.
fn unblock(signal: c_int, mask: &libc::sigset_t) {
    // SAFETY: sets that live during the calls.
    unsafe {
        if libc::sigismember(mask, signal) == 1 {
            return;
        }
        let mut one: libc::sigset_t = core::mem::zeroed();
        libc::sigemptyset(&mut one);
        libc::sigaddset(&mut one, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &one, core::ptr::null_mut());
    }
}

/// Ends the process as the system does without a handler: at the instruction that faults again, or by a signal that was
/// sent.
fn end_as_default(signal: c_int, is_sent: bool) {
    // SAFETY: plain data, for which zeros are valid; the default action, which has no handler. The signal is blocked
    // until the handler returns, and comes to this thread then.
    unsafe {
        let mut default: libc::sigaction = core::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, &default, core::ptr::null_mut());
        if is_sent {
            libc::pthread_kill(libc::pthread_self(), signal);
        }
    }
}

#[cfg(all(test, target_arch = "aarch64"))]
mod tests {
    use super::writes_by_records;

    #[test]
    fn the_syndrome_is_found_among_the_records() {
        const OTHER: u64 = 0x10_4650_8001;
        const SYNDROME: u64 = 0x10_4553_5201;
        for (records, writes) in [
            ([OTHER, 1 << 6, SYNDROME, 0x9200_0047, 0], Some(true)),
            ([SYNDROME, 0x9200_0007, OTHER, 0, 0], Some(false)),
            ([OTHER, 0, OTHER, 0, 0], None),
        ] {
            // SAFETY: two records of 16 bytes each, and one of kind 0.
            assert_eq!(unsafe { writes_by_records(records.as_ptr().cast()) }, writes);
        }
    }
}
