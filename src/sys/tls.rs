//! A thread-local pointer to each thread's record.
//!
//! Contract: NULL until the thread sets it. It works as long as the thread runs, also in exit handlers. [`get`] never allocates on a thread
//! that has set it. A record that is registered by [`keep`] begins with a [`TlsSlot`] and is never unmapped.
//!
//! In a shared library every access to a `thread_local` costs a call of the loader's lookup function, which is slow if the library was
//! loaded by dlopen. On x86-64 the record is found in a table by the thread pointer instead ([`keep`]). Where two threads share an entry of
//! the table, it is found through a TLS descriptor ("Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", Oliva and Araújo). The
//! preload library is loaded at program start, so its thread-locals are always at a fixed offset from the thread pointer.

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

    /// The offset of the pointer from the thread pointer, in bytes.
    #[inline(always)]
    fn offset() -> usize {
        let offset;
        if cfg!(preload) {
            // SAFETY: reads the offset that the loader has stored.
            unsafe {
                asm!(
                    "mov {}, qword ptr [rip + tenure_record_of_thread@gottpoff]",
                    out(reg) offset,
                    options(nostack, preserves_flags, pure, readonly),
                );
            }
            return offset;
        }
        // SAFETY: the sequence of the x86-64 ABI for a TLS descriptor; the called function changes no register but rax. The loader's slow
        // function calls others, and old versions of it save no vector registers, hence the clobbers.
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

    /// Records that [`keep`] has registered, by some bits of the thread pointer, in which the stacks of neighbouring threads differ. The
    /// slot at the start of a record says whose it is.
    static TABLE: [AtomicPtr<TlsSlot>; 1024] = [const { AtomicPtr::new(EMPTY) }; 1024];

    static EMPTY_SLOT: TlsSlot = TlsSlot::new();
    const EMPTY: *mut TlsSlot = (&raw const EMPTY_SLOT).cast_mut();

    #[inline(always)]
    fn thread_pointer() -> usize {
        let value;
        // SAFETY: by the x86-64 ABI, the word at the thread pointer is the thread pointer.
        unsafe { asm!("mov {}, fs:[0]", out(reg) value, options(nostack, preserves_flags, pure, readonly)) };
        value
    }

    #[inline(always)]
    fn entry(thread: usize) -> &'static AtomicPtr<TlsSlot> {
        &TABLE[(thread >> 12) % TABLE.len()]
    }

    /// The slot of an entry.
    #[inline(always)]
    fn slot(entry: &AtomicPtr<TlsSlot>) -> &'static TlsSlot {
        // Acquire pairs with the Release in `keep`.
        // SAFETY: `EMPTY`, or what `keep` stored: never unmapped.
        unsafe { &*entry.load(Ordering::Acquire) }
    }

    /// The calling thread's pointer, if the table has it; else NULL.
    #[inline(always)]
    pub fn current_fast() -> *const () {
        if cfg!(preload) {
            return word();
        }
        let thread = thread_pointer();
        // Acquire pairs with the Release in `keep`. The entry's own pointer is returned, because it may be used for more than the slot.
        let at = entry(thread).load(Ordering::Acquire).cast_const();
        // SAFETY: as in `slot`.
        if unsafe { &*at }.0.load(Ordering::Relaxed) == thread { at.cast() } else { core::ptr::null() }
    }

    /// The calling thread's pointer.
    #[inline(always)]
    pub fn get() -> *const () {
        let found = current_fast();
        if cfg!(preload) || !found.is_null() {
            return found;
        }
        #[cold]
        #[inline(never)]
        fn get_slow() -> *const () {
            word()
        }
        get_slow()
    }

    /// Sets the calling thread's pointer.
    pub fn set(value: *const ()) {
        let thread = thread_pointer();
        let entry = entry(thread);
        let slot = slot(entry);
        if slot.0.load(Ordering::Relaxed) == thread {
            // The slot first: the next thread with the entry writes its own slot.
            slot.0.store(0, Ordering::Relaxed);
            entry.store(EMPTY, Ordering::Release);
        }
        set_word(value);
    }

    /// Enters the calling thread's pointer into the table, until the thread sets another one. It must do so before it ends, because a later
    /// thread may have its thread pointer.
    ///
    /// # Safety
    /// - The pointer is that of a [`TlsSlot`] that is never unmapped, and is no other thread's.
    pub unsafe fn keep() {
        let (thread, slot) = (thread_pointer(), word().cast_mut().cast::<TlsSlot>());
        // Release: a thread that reads the entry sees the record. Acquire pairs with the Release in `set`: the former thread reads it no
        // more.
        let won = |entry: &AtomicPtr<TlsSlot>| {
            entry.compare_exchange(EMPTY, slot, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if !cfg!(preload) && won(entry(thread)) {
            // SAFETY: the caller's promise. Until this store no thread finds the record by the entry.
            unsafe { (*slot).0.store(thread, Ordering::Relaxed) };
        }
    }

    /// In the child of a fork: removes the threads that no longer exist from the table.
    pub fn forget_others() {
        let own = thread_pointer();
        for entry in TABLE.iter().filter(|entry| slot(entry).0.load(Ordering::Relaxed) != own) {
            slot(entry).0.store(0, Ordering::Relaxed);
            entry.store(EMPTY, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn word() -> *const () {
        let value;
        // SAFETY: the thread-local lives as long as the thread, and is changed by this thread only.
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

    /// The calling thread's pointer.
    #[inline]
    pub fn get() -> *const () {
        WORD.get()
    }

    /// The calling thread's pointer.
    #[inline]
    pub fn current_fast() -> *const () {
        WORD.get()
    }

    /// Sets the calling thread's pointer.
    pub fn set(value: *const ()) {
        WORD.set(value);
    }

    /// Has no effect here: there is no table.
    ///
    /// # Safety
    /// - None.
    pub unsafe fn keep() {}

    /// Has no effect here: there is no table.
    pub fn forget_others() {}
}

pub use word::{current_fast, forget_others, get, keep, set};

/// The first field of a record: the thread pointer of the thread that [`keep`] was called on; 0: none.
#[derive(Debug)]
#[repr(transparent)]
#[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux", not(loom))), allow(dead_code))]
pub struct TlsSlot(AtomicUsize);

impl TlsSlot {
    /// A slot without a thread.
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
        // SAFETY: static.
        unsafe { super::keep() };
        let other = std::thread::spawn(|| super::get().is_null()).join();
        assert!(matches!(other, Ok(true)));
        assert!(core::ptr::eq(super::get().cast(), &raw const ONE));
        super::set(core::ptr::null());
        assert!(super::get().is_null());
    }

    #[test]
    fn threads_come_and_go_and_find_their_own() {
        static SLOTS: [TlsSlot; 64] = [const { TlsSlot::new() }; 64];
        let turn = |number: usize| {
            assert!(super::get().is_null());
            let slot = &raw const SLOTS[number % SLOTS.len()];
            super::set(slot.cast());
            // SAFETY: static, and of one of the threads that run now.
            unsafe { super::keep() };
            std::thread::yield_now();
            assert!(core::ptr::eq(super::get().cast(), slot));
            super::set(core::ptr::null());
        };
        for round in 1..100 {
            let threads: Vec<_> = (0..8).map(|k| std::thread::spawn(move || turn(8 * round + k))).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}
