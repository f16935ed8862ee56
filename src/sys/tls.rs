//! A thread-local pointer to each thread's record.
//!
//! Contract: the pointer is NULL until the thread sets it. This module works as long as the thread runs, also in exit
//! handlers. [`get`] never allocates on a thread that has set its pointer. A record that [`enter_in_table`] enters
//! begins with a [`TlsSlot`] and is never unmapped.
//!
//! In a shared library for x86-64 every access to a `thread_local` costs a call of the loader's lookup function, which
//! is slow if the library was loaded by dlopen. There the record is found by the thread pointer instead, in a table of
//! 1024 entries. Of several threads with one entry, the first uses the table. The others find their records through a
//! TLS descriptor ("Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", Oliva and Araújo). On aarch64 compilers
//! use these descriptors anyway, so a `thread_local` is fast.
//!
//! The preload library (`cfg(preload)`, bindings/malloc) replaces malloc by LD_PRELOAD. The loader maps it at program
//! start, so its thread-locals are always at a fixed offset from the thread pointer, and it needs no table.

use core::sync::atomic::AtomicUsize;

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom)))]
mod pointer {
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
        // SAFETY: the sequence of the x86-64 ABI for a TLS descriptor, by which the called function changes no register
        // but rax. The lazy path of old loaders calls C functions, which overwrite vector registers, so these are
        // listed as clobbered.
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

    /// Records that [`enter_in_table`] has entered, indexed by bits 12 to 21 of the thread pointer. Thread pointers lie
    /// at the ends of stacks, so those of neighbouring threads differ in these bits. The [`TlsSlot`] at the start of a
    /// record has the pointer of its thread.
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

    /// The table's entry for a thread pointer.
    #[inline(always)]
    fn entry(thread: usize) -> &'static AtomicPtr<TlsSlot> {
        &TABLE[(thread >> 12) % TABLE.len()]
    }

    /// The slot of the record in an entry.
    #[inline(always)]
    fn slot(entry: &AtomicPtr<TlsSlot>) -> &'static TlsSlot {
        // Acquire pairs with the Release in `enter_in_table`.
        // SAFETY: the entry has `EMPTY`, or a record from `enter_in_table`, which is never unmapped.
        unsafe { &*entry.load(Ordering::Acquire) }
    }

    /// The calling thread's pointer, if the table has it; else NULL.
    #[inline(always)]
    pub fn get_from_table() -> *const () {
        if cfg!(preload) {
            return load_pointer();
        }
        let thread = thread_pointer();
        // Acquire pairs with the Release in `enter_in_table`. Not `&TlsSlot`: its provenance would cover only the slot,
        // and callers read the whole record.
        let at = entry(thread).load(Ordering::Acquire).cast_const();
        // SAFETY: as in `slot`.
        if unsafe { &*at }.0.load(Ordering::Relaxed) == thread { at.cast() } else { core::ptr::null() }
    }

    /// The calling thread's pointer.
    #[inline(always)]
    pub fn get() -> *const () {
        let found = get_from_table();
        if cfg!(preload) || !found.is_null() {
            return found;
        }
        #[cold]
        #[inline(never)]
        fn get_slow() -> *const () {
            load_pointer()
        }
        get_slow()
    }

    /// Sets the calling thread's pointer, and removes the record of the old pointer from the table.
    pub fn set(value: *const ()) {
        let thread = thread_pointer();
        let entry = entry(thread);
        let slot = slot(entry);
        if slot.0.load(Ordering::Relaxed) == thread {
            // The slot before the entry, because a record outside the table must have slot 0. In the other order, a
            // fork by another thread between the two stores would leave the old thread pointer in the child's record:
            // `forget_others` clears only slots of records in the table.
            slot.0.store(0, Ordering::Relaxed);
            entry.store(EMPTY, Ordering::Release);
        }
        store_pointer(value);
    }

    /// Enters the calling thread's pointer into the table, until the thread sets another one. Has no effect if another
    /// thread has the entry: then [`get`] takes the slow path.
    ///
    /// # Safety
    /// - The pointer is that of a [`TlsSlot`] that is never unmapped, and belongs to this thread alone.
    /// - The thread sets another pointer before it ends, because a later thread may have its thread pointer.
    pub unsafe fn enter_in_table() {
        let (thread, slot) = (thread_pointer(), load_pointer().cast_mut().cast::<TlsSlot>());
        // Release: a thread that reads the entry sees the initialized record. Acquire pairs with the Release in `set`,
        // after which the entry's former thread does not use the entry.
        let won = |entry: &AtomicPtr<TlsSlot>| {
            entry.compare_exchange(EMPTY, slot, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if !cfg!(preload) && won(entry(thread)) {
            // SAFETY: by the caller's obligation the slot is mapped. Until this store the slot is 0, so no thread finds
            // the record by the entry.
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
    fn load_pointer() -> *const () {
        let value;
        // SAFETY: the thread-local lives as long as the thread, and is changed by this thread only.
        unsafe {
            asm!("mov {}, fs:[{}]", out(reg) value, in(reg) offset(), options(nostack, preserves_flags, readonly))
        };
        value
    }

    fn store_pointer(value: *const ()) {
        // SAFETY: as in `load_pointer`.
        unsafe { asm!("mov fs:[{}], {}", in(reg) offset(), in(reg) value, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(loom))))]
mod pointer {
    use core::cell::Cell;

    std::thread_local! {
        // `const` and without Drop: works while the thread ends, and costs no check.
        static POINTER: Cell<*const ()> = const { Cell::new(core::ptr::null()) };
    }

    /// The calling thread's pointer.
    #[inline]
    pub fn get() -> *const () {
        POINTER.get()
    }

    /// The calling thread's pointer. There is no table here, so it is always found.
    #[inline]
    pub fn get_from_table() -> *const () {
        POINTER.get()
    }

    /// Sets the calling thread's pointer.
    pub fn set(value: *const ()) {
        POINTER.set(value);
    }

    /// Has no effect here: there is no table.
    ///
    /// # Safety
    /// - None.
    pub unsafe fn enter_in_table() {}

    /// Has no effect here: there is no table.
    pub fn forget_others() {}
}

pub use pointer::{enter_in_table, forget_others, get, get_from_table, set};

/// The first field of a record: the thread pointer of the thread whose table entry has the record; 0: none.
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
    fn each_thread_has_its_own_pointer() {
        static ONE: TlsSlot = TlsSlot::new();
        super::set((&raw const ONE).cast());
        // SAFETY: static.
        unsafe { super::enter_in_table() };
        let other = std::thread::spawn(|| super::get().is_null()).join();
        assert!(matches!(other, Ok(true)));
        assert!(core::ptr::eq(super::get().cast(), &raw const ONE));
        super::set(core::ptr::null());
        assert!(super::get().is_null());
    }

    #[test]
    fn threads_that_start_and_end_find_their_own_record() {
        static SLOTS: [TlsSlot; 64] = [const { TlsSlot::new() }; 64];
        let turn = |number: usize| {
            assert!(super::get().is_null());
            let slot = &raw const SLOTS[number % SLOTS.len()];
            super::set(slot.cast());
            // SAFETY: static, and of one of the threads that run now.
            unsafe { super::enter_in_table() };
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
