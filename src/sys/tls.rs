//! One word of each thread: where its record is.
//!
//! Contract: NULL until the thread sets it; works as long as the thread runs, also in its exit handlers; never allocates in [`get`] on
//! a thread that has set it. A `thread_local` of a shared library costs a call of the loader's look-up for every access. On x86-64 the
//! word is found through a descriptor instead (TLSDESC, "Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", Oliva and
//! Araújo): two instructions of the loader's where it has room beside the thread pointer, which it nearly always has for eight bytes,
//! and the same look-up where it has not. Other machines that we know use descriptors for every `thread_local` already.

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom)))]
mod word {
    use core::arch::{asm, global_asm};

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
        // The preload library is there when the program starts, so that its word always has its place beside the thread pointer.
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

    /// The calling thread's.
    #[inline(always)]
    pub fn get() -> *const () {
        let value;
        // SAFETY: the word of this thread, which lives as long as the thread and is changed by it only.
        unsafe {
            asm!("mov {}, fs:[{}]", out(reg) value, in(reg) offset(), options(nostack, preserves_flags, readonly))
        };
        value
    }

    /// Sets the calling thread's.
    pub fn set(value: *const ()) {
        // SAFETY: as in `get`.
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
}

pub use word::{get, set};

#[cfg(test)]
mod tests {
    #[test]
    fn each_thread_has_its_own() {
        let one = 1u8;
        super::set((&raw const one).cast());
        let other = std::thread::spawn(|| super::get().is_null()).join();
        assert!(matches!(other, Ok(true)));
        assert!(core::ptr::eq(super::get().cast(), &raw const one));
        super::set(core::ptr::null());
    }
}
