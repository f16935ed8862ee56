//! Functions that a process may have: the library binds their names weakly, so it needs and loads nothing for them.

/// The address that the loader bound to a name; 0: none. An `extern` block cannot declare a weak function.
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
macro_rules! weak_address {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: reads an entry of the global offset table, which the loader has filled.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {0}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(nostack, readonly, preserves_flags)
            );
        }
        address
    }};
}

#[cfg(all(target_arch = "aarch64", target_os = "linux", not(miri)))]
macro_rules! weak_address {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: reads an entry of the global offset table, which the loader has filled.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("adrp {0}, :got:", $name),
                concat!("ldr {0}, [{0}, :got_lo12:", $name, "]"),
                out(reg) address,
                options(nostack, readonly, preserves_flags)
            );
        }
        address
    }};
}

#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux", not(miri))))]
macro_rules! weak_address {
    ($name:literal) => {
        0usize
    };
}

pub(crate) use weak_address;
