//! One word of each thread: where its record is.
//!
//! Contract: NULL until the thread sets it; works as long as the thread runs, also in its exit handlers; never allocates in [`get`] on
//! a thread that has set it. What the word of a thread that is kept leads to begins with a [`TlsSlot`] and is never unmapped.
//!
//! A `thread_local` of a shared library costs a call of the loader's look-up for every access, and in one that was opened late the look-up
//! is a long one. On x86-64 a thread is found by its thread pointer instead, one look into a table ([`keep`]); where two threads would have
//! the same place in that, through a descriptor (TLSDESC, "Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", Oliva and Araújo).
//! The preload library is there when a program starts, so that its word always lies beside the thread pointer.

use core::sync::atomic::AtomicUsize;

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom)))]
mod word {
    use super::TlsSlot;
    use core::arch::{asm, global_asm};
    use core::sync::atomic::{AtomicPtr, Ordering};

    // Hidden: each copy of the library has its own.
    global_asm!(
        ".pushsection .tbss.tenure_record,\"awT\",@nobits",
        ".p2align 3",
        ".hidden tenure_record_of_thread",
        ".globl tenure_record_of_thread",
        ".type tenure_record_of_thread, @object",
        ".size tenure_record_of_thread, 8",
        "tenure_record_of_thread:",
        ".zero 8",
        ".popsection",
    );

    /// Bytes from the thread pointer to the word.
    #[inline(always)]
    fn offset() -> usize {
        let offset;
        if cfg!(preload) {
            // SAFETY: reads the place that the loader wrote for the word.
            unsafe {
                asm!(
                    "mov {}, qword ptr [rip + tenure_record_of_thread@gottpoff]",
                    out(reg) offset,
                    options(nostack, preserves_flags, pure, readonly),
                );
            }
            return offset;
        }
        // SAFETY: the sequence that the x86-64 ABI gives for a TLS descriptor; the function that it calls changes no register but rax. The
        // loader's slow function calls on, and old ones save no vector registers, hence the clobbers.
        unsafe {
            asm!(
                "lea rax, [rip + tenure_record_of_thread@tlsdesc]",
                "call qword ptr [rax + tenure_record_of_thread@tlscall]",
                out("rax") offset,
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            );
        }
        offset
    }

    /// Words of threads that [`keep`] put here, by a part of the thread pointer: stacks of one size lie so far apart that neighbours differ in
    /// it. Each leads to a home, which says whose it is.
    static PLACES: [AtomicPtr<TlsSlot>; 1024] = [const { AtomicPtr::new(NOBODY) }; 1024];

    static NOBODYS: TlsSlot = TlsSlot::new();
    const NOBODY: *mut TlsSlot = (&raw const NOBODYS).cast_mut();

    #[inline(always)]
    fn thread_pointer() -> usize {
        let value;
        // SAFETY: the x86-64 ABI has the thread pointer's own address there.
        unsafe { asm!("mov {}, fs:[0]", out(reg) value, options(nostack, preserves_flags, pure, readonly)) };
        value
    }

    #[inline(always)]
    fn place(thread: usize) -> &'static AtomicPtr<TlsSlot> {
        &PLACES[(thread >> 12) % PLACES.len()]
    }

    /// The home that is in a place.
    #[inline(always)]
    fn home(place: &AtomicPtr<TlsSlot>) -> &'static TlsSlot {
        // Acquire pairs with the Release in `keep`.
        // SAFETY: `NOBODY`, or what `keep` put there: never unmapped.
        unsafe { &*place.load(Ordering::Acquire) }
    }

    /// The calling thread's, if it is found at once; else NULL.
    #[inline(always)]
    pub fn current_fast() -> *const () {
        if cfg!(preload) {
            return word();
        }
        let thread = thread_pointer();
        // Acquire pairs with the Release in `keep`. The pointer itself, for it leads to more than the home.
        let at = place(thread).load(Ordering::Acquire).cast_const();
        // SAFETY: as in `home`.
        if unsafe { &*at }.0.load(Ordering::Relaxed) == thread { at.cast() } else { core::ptr::null() }
    }

    /// The calling thread's.
    #[inline(always)]
    pub fn get() -> *const () {
        let word = current_fast();
        if cfg!(preload) || !word.is_null() {
            return word;
        }
        #[cold]
        #[inline(never)]
        fn look() -> *const () {
            self::word()
        }
        look()
    }

    /// Sets the calling thread's.
    pub fn set(value: *const ()) {
        let thread = thread_pointer();
        let place = place(thread);
        let home = home(place);
        if home.0.load(Ordering::Relaxed) == thread {
            // The home first: whoever has it next writes it anew.
            home.0.store(0, Ordering::Relaxed);
            place.store(NOBODY, Ordering::Release);
        }
        set_word(value);
    }

    /// The calling thread will be found at once from now on, until it sets another word. It must do so before it ends: whoever comes after it
    /// may have its thread pointer.
    ///
    /// # Safety
    /// - The word leads to a [`TlsSlot`] that is never unmapped, and is no other thread's.
    pub unsafe fn keep() {
        let (thread, home) = (thread_pointer(), word().cast_mut().cast::<TlsSlot>());
        // Release: what comes before in the home's record is seen; Acquire pairs with the Release in `set`: the former one looks no more.
        let won = |place: &AtomicPtr<TlsSlot>| {
            place.compare_exchange(NOBODY, home, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if !cfg!(preload) && won(place(thread)) {
            // SAFETY: the caller's promise. Until then it is nobody's, and so found by nobody.
            unsafe { (*home).0.store(thread, Ordering::Relaxed) };
        }
    }

    /// In the child of a fork: the threads that are not there any more are forgotten.
    pub fn forget_others() {
        let own = thread_pointer();
        for place in PLACES.iter().filter(|place| home(place).0.load(Ordering::Relaxed) != own) {
            home(place).0.store(0, Ordering::Relaxed);
            place.store(NOBODY, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn word() -> *const () {
        let value;
        // SAFETY: the word of this thread, which lives as long as the thread and is changed by it only.
        unsafe {
            asm!("mov {}, fs:[{}]", out(reg) value, in(reg) offset(), options(nostack, preserves_flags, readonly))
        };
        value
    }

    fn set_word(value: *const ()) {
        // SAFETY: as in `word`.
        unsafe { asm!("mov fs:[{}], {}", in(reg) offset(), in(reg) value, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(loom))))]
mod word {
    use core::cell::Cell;

    std::thread_local! {
        // `const` and without Drop: works while the thread ends, and costs no check.
        static WORD: Cell<*const ()> = const { Cell::new(core::ptr::null()) };
    }

    /// The calling thread's.
    #[inline]
    pub fn get() -> *const () {
        WORD.get()
    }

    /// The same.
    #[inline]
    pub fn current_fast() -> *const () {
        WORD.get()
    }

    /// Sets the calling thread's.
    pub fn set(value: *const ()) {
        WORD.set(value);
    }

    /// It is found at once anyway.
    ///
    /// # Safety
    /// - As where it is not.
    pub unsafe fn keep() {}

    /// There is nothing to forget.
    pub fn forget_others() {}
}

pub use word::{current_fast, forget_others, get, keep, set};

/// What the word of a thread that is kept leads to begins with this: the thread pointer; 0: no such thread has it.
#[derive(Debug)]
#[repr(transparent)]
#[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux", not(loom))), allow(dead_code))]
pub struct TlsSlot(AtomicUsize);

impl TlsSlot {
    /// Nobody's.
    pub const fn new() -> TlsSlot {
        TlsSlot(AtomicUsize::new(0))
    }
}

impl Default for TlsSlot {
    fn default() -> TlsSlot {
        TlsSlot::new()
    }
}

#[cfg(test)]
mod tests {
    use super::TlsSlot;

    #[test]
    fn each_thread_has_its_own() {
        static ONE: TlsSlot = TlsSlot::new();
        super::set((&raw const ONE).cast());
        // SAFETY: a home for ever.
        unsafe { super::keep() };
        let other = std::thread::spawn(|| super::get().is_null()).join();
        assert!(matches!(other, Ok(true)));
        assert!(core::ptr::eq(super::get().cast(), &raw const ONE));
        super::set(core::ptr::null());
        assert!(super::get().is_null());
    }

    #[test]
    fn threads_come_and_go_and_find_their_own() {
        static HOMES: [TlsSlot; 64] = [const { TlsSlot::new() }; 64];
        let turn = |number: usize| {
            assert!(super::get().is_null());
            let home = &raw const HOMES[number % HOMES.len()];
            super::set(home.cast());
            // SAFETY: a home for ever, of one of the threads that run now.
            unsafe { super::keep() };
            std::thread::yield_now();
            assert!(core::ptr::eq(super::get().cast(), home));
            super::set(core::ptr::null());
        };
        for round in 1..100 {
            let threads: Vec<_> = (0..8).map(|k| std::thread::spawn(move || turn(8 * round + k))).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}
