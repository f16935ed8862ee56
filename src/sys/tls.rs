//! One word of each thread: where its record is.
//!
//! Contract: NULL until the thread sets it; works as long as the thread runs, also in its exit handlers; never allocates in [`get`] on
//! a thread that has set it.
//!
//! A `thread_local` of a shared library costs a call of the loader's look-up for every access, and in one that was opened late the look-up
//! is a long one. On x86-64 a thread is found by its thread pointer instead, one look into a table ([`keep`]); where two threads would have
//! the same place in that, through a descriptor (TLSDESC, "Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", Oliva and Araújo).
//! The preload library is there when a program starts, so that its word always lies beside the thread pointer.

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom)))]
mod word {
    use core::arch::{asm, global_asm};
    use core::sync::atomic::{AtomicUsize, Ordering};

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

    /// Threads that [`keep`] put here, by a part of the thread pointer: stacks of one size lie so far apart that neighbours differ in it.
    static PLACES: [Place; 1024] = [const { Place { thread: AtomicUsize::new(0), word: AtomicUsize::new(0) } }; 1024];

    struct Place {
        /// Its thread pointer; 0: nobody's.
        thread: AtomicUsize,
        word: AtomicUsize,
    }

    #[inline(always)]
    fn thread_pointer() -> usize {
        let value;
        // SAFETY: the x86-64 ABI has the thread pointer's own address there.
        unsafe { asm!("mov {}, fs:[0]", out(reg) value, options(nostack, preserves_flags, pure, readonly)) };
        value
    }

    #[inline(always)]
    fn place(thread: usize) -> &'static Place {
        &PLACES[(thread >> 12) % PLACES.len()]
    }

    /// The calling thread's.
    #[inline(always)]
    pub fn get() -> *const () {
        if cfg!(preload) {
            return word();
        }
        let thread = thread_pointer();
        let place = place(thread);
        if place.thread.load(Ordering::Relaxed) == thread {
            // Only this thread wrote it.
            return place.word.load(Ordering::Relaxed) as *const ();
        }
        #[cold]
        #[inline(never)]
        fn look() -> *const () {
            word()
        }
        look()
    }

    /// Sets the calling thread's.
    pub fn set(value: *const ()) {
        let thread = thread_pointer();
        let place = place(thread);
        if place.thread.load(Ordering::Relaxed) == thread {
            place.thread.store(0, Ordering::Release);
        }
        set_word(value);
    }

    /// The calling thread will be found at once from now on, until it sets another word. It must do so before it ends: whoever comes after it
    /// may have its thread pointer.
    pub fn keep() {
        let thread = thread_pointer();
        let place = place(thread);
        // One that is about to be somebody's is nobody's address. Acquire pairs with the Release in `set`: the former one looks no more.
        if !cfg!(preload) && place.thread.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            place.word.store(word() as usize, Ordering::Relaxed);
            place.thread.store(thread, Ordering::Relaxed);
        }
    }

    /// In the child of a fork: the threads that are not there any more are forgotten.
    pub fn forget_others() {
        let own = thread_pointer();
        for place in PLACES.iter().filter(|place| place.thread.load(Ordering::Relaxed) != own) {
            place.thread.store(0, Ordering::Relaxed);
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

    /// Sets the calling thread's.
    pub fn set(value: *const ()) {
        WORD.set(value);
    }

    /// It is found at once anyway.
    pub fn keep() {}

    /// There is nothing to forget.
    pub fn forget_others() {}
}

pub use word::{forget_others, get, keep, set};

#[cfg(test)]
mod tests {
    #[test]
    fn each_thread_has_its_own() {
        let one = 1u8;
        super::set((&raw const one).cast());
        super::keep();
        let other = std::thread::spawn(|| super::get().is_null()).join();
        assert!(matches!(other, Ok(true)));
        assert!(core::ptr::eq(super::get().cast(), &raw const one));
        super::set(core::ptr::null());
        assert!(super::get().is_null());
    }

    #[test]
    fn threads_come_and_go_and_find_their_own() {
        let turn = |number: usize| {
            assert!(super::get().is_null());
            super::set(number as *const ());
            super::keep();
            std::thread::yield_now();
            assert_eq!(super::get() as usize, number);
            super::set(core::ptr::null());
        };
        for round in 1..100 {
            let threads: Vec<_> = (0..8).map(|k| std::thread::spawn(move || turn(8 * round + k))).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}
