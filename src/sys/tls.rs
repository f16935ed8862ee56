//! A thread-local pointer to each thread's record.
//!
//! Contract: [`get`] works as long as the thread runs, also in exit handlers. It never allocates on a thread that has
//! set its pointer. On x86-64 Linux the pointer leads from the start to a record of no thread, which the layer `pool`
//! has; elsewhere it is NULL until the thread sets it ([`IS_NEVER_NULL`]). A record that [`enter_in_table`] enters is
//! never unmapped.
//!
//! In a shared library for x86-64 every access to a `thread_local` costs a call of the loader's lookup function, which
//! is slow if the library was loaded by dlopen. There the record is found by the thread pointer instead, in a table.
//! Of several threads with one entry, the first uses the table. The others find their records through a TLS descriptor
//! ("Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", Oliva and Araújo). A fixed offset from the thread
//! pointer would be shorter, but then all thread-locals of the library would need the room that loaders reserve for
//! libraries that are opened late, which is less than these have. On aarch64 compilers use descriptors anyway, so a
//! `thread_local` is fast.
//!
//! The preload library (`cfg(preload)`, bindings/malloc) replaces malloc by LD_PRELOAD. The loader maps it at program
//! start, so its thread-locals are always at a fixed offset from the thread pointer, and it needs no table.

use core::sync::atomic::AtomicUsize;

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom)))]
mod pointer {
    use super::TlsSlot;
    use crate::sys::instructions;
    use core::arch::asm;
    use core::ptr::NonNull;
    use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

    /// The offset of the pointer from the thread pointer, in bytes. `pool::thread_heap::no_thread` defines the pointer.
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

    /// Entries of the table: one for each value of bits 8 to 23 of the thread pointer, which one instruction extracts.
    /// Thread pointers lie at the ends of stacks, so those of neighbouring threads differ in these bits, and their
    /// entries lie on different cache lines. The system maps only the pages that are used.
    const ENTRIES: usize = if cfg!(preload) { 1 } else { 1 << 16 };

    /// Threads that [`enter_in_table`] has entered, by their thread pointers.
    #[repr(C)]
    struct Table {
        /// The thread pointers; 0: none.
        threads: [AtomicU64; ENTRIES],
        /// Their records.
        records: [AtomicPtr<()>; ENTRIES],
    }

    static TABLE: Table = Table {
        threads: [const { AtomicU64::new(0) }; ENTRIES],
        records: [const { AtomicPtr::new(core::ptr::null_mut()) }; ENTRIES],
    };

    #[inline(always)]
    fn thread_pointer() -> usize {
        let value;
        // SAFETY: by the x86-64 ABI, the word at the thread pointer is the thread pointer.
        unsafe { asm!("mov {}, fs:[0]", out(reg) value, options(nostack, preserves_flags, pure, readonly)) };
        value
    }

    /// The entry of a thread pointer.
    fn entry(thread: usize) -> usize {
        (thread >> 8) & (ENTRIES - 1)
    }

    /// Whether [`get`] returns a record before the thread has set one.
    pub const IS_NEVER_NULL: bool = true;

    /// The calling thread's pointer, if the table has it. In the preload library always the pointer.
    #[inline(always)]
    pub fn get_from_table() -> Option<NonNull<()>> {
        if cfg!(preload) {
            // SAFETY: it leads to a record from the start.
            return Some(unsafe { NonNull::new_unchecked(load_pointer().cast_mut()) });
        }
        let entry: usize;
        // SAFETY: reads two bytes of the word at the thread pointer.
        unsafe {
            asm!(
                "movzx {:e}, word ptr fs:[1]",
                out(reg) entry,
                options(nostack, preserves_flags, pure, readonly),
            );
        }
        // SAFETY: two bytes, and the table has an entry for each value of them. Only this thread writes its own thread
        // pointer there, after its record.
        unsafe {
            if !instructions::is_at(&TABLE.threads, entry, thread_pointer() as u64) {
                return None;
            }
            Some(NonNull::new_unchecked(TABLE.records.get_unchecked(entry).load(Ordering::Relaxed)))
        }
    }

    /// The calling thread's pointer.
    #[inline(always)]
    pub fn get() -> *const () {
        if let Some(found) = get_from_table() {
            return found.as_ptr();
        }
        #[cold]
        #[inline(never)]
        fn get_slow() -> *const () {
            load_pointer()
        }
        get_slow()
    }

    /// Sets the calling thread's pointer, and removes the thread from the table. `slot`: that of the record before.
    pub fn set(value: *const (), slot: Option<&TlsSlot>) {
        if let Some(slot) = slot {
            remove(slot);
        }
        store_pointer(value);
    }

    /// Enters the calling thread's pointer into the table, until the thread sets another one. Has no effect if another
    /// thread has the entry: then [`get`] takes the slow path.
    ///
    /// # Safety
    /// - The slot is in the record of the pointer, which is never unmapped and belongs to this thread alone.
    /// - The thread sets another pointer before it ends, because a later thread may have its thread pointer.
    pub unsafe fn enter_in_table(slot: &TlsSlot) {
        if cfg!(preload) {
            return;
        }
        let thread = thread_pointer();
        let entry = &TABLE.threads[entry(thread)];
        // Nobody finds this entry: no thread has this thread pointer. The slot before the entry, so that the child of a
        // fork by another thread knows all entries.
        slot.0.store(thread, Ordering::Relaxed);
        const CLAIMED: u64 = 1;
        // Acquire pairs with the Release in `remove`.
        if entry.compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            slot.0.store(0, Ordering::Relaxed);
            return;
        }
        TABLE.records[self::entry(thread)].store(load_pointer().cast_mut(), Ordering::Relaxed);
        entry.store(thread as u64, Ordering::Release);
    }

    /// Removes the thread of a slot from the table.
    fn remove(slot: &TlsSlot) {
        let thread = slot.0.load(Ordering::Relaxed);
        if thread != 0 {
            TABLE.threads[entry(thread)].store(0, Ordering::Release);
            slot.0.store(0, Ordering::Relaxed);
        }
    }

    /// In the child of a fork: removes a thread that no longer exists from the table.
    pub fn forget(slot: &TlsSlot) {
        remove(slot);
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
    use super::TlsSlot;
    use core::cell::Cell;
    use core::ptr::NonNull;

    std::thread_local! {
        // `const` and without Drop: works while the thread ends, and costs no check.
        static POINTER: Cell<*const ()> = const { Cell::new(core::ptr::null()) };
    }

    /// Whether [`get`] returns a record before the thread has set one.
    pub const IS_NEVER_NULL: bool = false;

    /// The calling thread's pointer.
    #[inline]
    pub fn get() -> *const () {
        POINTER.get()
    }

    /// The calling thread's pointer, if it has set one. There is no table here.
    #[inline]
    pub fn get_from_table() -> Option<NonNull<()>> {
        NonNull::new(POINTER.get().cast_mut())
    }

    /// Sets the calling thread's pointer.
    pub fn set(value: *const (), _: Option<&TlsSlot>) {
        POINTER.set(value);
    }

    /// Has no effect here: there is no table.
    ///
    /// # Safety
    /// - None.
    pub unsafe fn enter_in_table(_: &TlsSlot) {}

    /// Has no effect here: there is no table.
    pub fn forget(_: &TlsSlot) {}
}

pub use pointer::{IS_NEVER_NULL, enter_in_table, forget, get, get_from_table, set};

/// In each record: the thread pointer of its thread while the table has it; 0: the table does not.
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
        let run = || {
            let before = super::get();
            assert_eq!(before.is_null(), !super::IS_NEVER_NULL);
            super::set((&raw const ONE).cast(), None);
            // SAFETY: static.
            unsafe { super::enter_in_table(&ONE) };
            let other = std::thread::spawn(|| super::get() as usize).join().unwrap();
            assert_eq!(other, before as usize);
            assert!(core::ptr::eq(super::get().cast(), &raw const ONE));
            super::set(before, Some(&ONE));
            assert!(core::ptr::eq(super::get(), before));
        };
        std::thread::spawn(run).join().unwrap();
    }

    #[test]
    fn threads_that_start_and_end_find_their_own_record() {
        static SLOTS: [TlsSlot; 64] = [const { TlsSlot::new() }; 64];
        let turn = |number: usize| {
            let before = super::get();
            let slot = &SLOTS[number % SLOTS.len()];
            super::set(core::ptr::from_ref(slot).cast(), None);
            // SAFETY: static, and of one of the threads that run now.
            unsafe { super::enter_in_table(slot) };
            std::thread::yield_now();
            assert!(core::ptr::eq(super::get().cast(), slot));
            super::set(before, Some(slot));
            assert!(core::ptr::eq(super::get(), before));
        };
        for round in 1..100 {
            let threads: Vec<_> = (0..8).map(|k| std::thread::spawn(move || turn(8 * round + k))).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}
