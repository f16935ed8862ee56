//! The objects that the loader has loaded: the program and its libraries.
//!
//! Contract: only cold paths search, under no lock of the library and without memory. The loader's lock is held
//! meanwhile, so a visit calls no function of the loader. In a forked child nothing is searched: a thread that the
//! child does not have may have held the lock of the loader's list.

use super::os;
use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicU32, Ordering};

/// Longer paths of programs lose their end.
pub const PATH_BYTES: usize = 255;

/// The process that made the first handle; 0 before.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// From now on the children of forks search nothing.
pub fn start() {
    PROCESS.store(os::process_number(), Ordering::Relaxed);
}

/// An object that the loader has loaded. The loader's lock is held meanwhile, so that it stays.
pub struct Object<'a>(&'a libc::dl_phdr_info);

impl Object<'_> {
    /// The numbers of objects that were ever loaded, and unloaded.
    pub fn counts(&self) -> u64 {
        // The counts of a process never reach 2^32.
        self.0.dlpi_adds << 32 | self.0.dlpi_subs & 0xffff_ffff
    }

    /// The program headers.
    pub fn segments(&self) -> &[libc::Elf64_Phdr] {
        if self.0.dlpi_phdr.is_null() {
            return &[];
        }
        // SAFETY: the loader's own list, of that many headers.
        unsafe { core::slice::from_raw_parts(self.0.dlpi_phdr, usize::from(self.0.dlpi_phnum)) }
    }

    /// The bytes of a segment with notes, if they are part of what is mapped for reading.
    pub fn mapped(&self, notes: &libc::Elf64_Phdr) -> Option<&[u8]> {
        let end = notes.p_vaddr.checked_add(notes.p_filesz)?;
        let inside = |part: &&libc::Elf64_Phdr| {
            part.p_type == libc::PT_LOAD
                && part.p_flags & libc::PF_R != 0
                && part.p_vaddr <= notes.p_vaddr
                && part.p_vaddr.checked_add(part.p_filesz).is_some_and(|last| end <= last)
        };
        self.segments().iter().find(inside)?;
        let start = self.0.dlpi_addr.wrapping_add(notes.p_vaddr) as usize;
        // SAFETY: mapped by the loader, for as long as its lock is held, and never written.
        Some(unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(start), notes.p_filesz as usize) })
    }

    /// Passes the object's file name.
    pub fn with_path(&self, then: impl FnOnce(&[u8])) {
        if self.0.dlpi_name.is_null() {
            return;
        }
        // SAFETY: the loader's own text.
        let name = unsafe { CStr::from_ptr(self.0.dlpi_name) }.to_bytes();
        if !name.is_empty() {
            return then(name);
        }
        // The program itself.
        let mut path = [0; PATH_BYTES];
        let length = os::own_path(&mut path);
        then(&path[..length]);
    }
}

/// Calls `visit` with each object of the process until it returns true; with none in a forked child.
pub fn search(visit: &mut dyn FnMut(&Object<'_>) -> bool) {
    extern "C" fn each(info: *mut libc::dl_phdr_info, _bytes: usize, context: *mut c_void) -> c_int {
        // SAFETY: the argument of the call below.
        let visit = unsafe { &mut **context.cast::<&mut dyn FnMut(&Object<'_>) -> bool>() };
        // SAFETY: the loader's record, valid during this call.
        c_int::from(visit(&Object(unsafe { &*info })))
    }
    let process = PROCESS.load(Ordering::Relaxed);
    if process != 0 && process != os::process_number() {
        return;
    }
    let mut visit = visit;
    // SAFETY: a function of the loader's type, and its argument, which outlives the call. Nothing in `visit` unwinds or
    // loads an object.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut visit).cast()) };
}

/// The number of objects that were ever loaded. None: in a forked child. Looks at one object.
pub fn loads() -> Option<u64> {
    let mut counts = None;
    search(&mut |object| {
        counts = Some(object.counts() >> 32);
        true
    });
    counts
}

/// Opens the first library for which `test` is true of its file name, after `skipped` of them. It stays loaded from
/// then on. `None` in the result: it is being unloaded.
pub fn open_named(skipped: usize, test: impl Fn(&[u8]) -> bool) -> Option<Option<os::Library>> {
    let mut path = [0; libc::PATH_MAX as usize];
    let mut left = skipped;
    let mut is_found = false;
    search(&mut |object| {
        object.with_path(|found| {
            let name = found.rsplit(|byte| *byte == b'/').next().unwrap_or(found);
            // A longer path cannot be opened.
            if !test(name) || found.len() >= path.len() {
                return;
            }
            is_found = left == 0;
            if is_found {
                path[..found.len()].copy_from_slice(found);
            } else {
                left -= 1;
            }
        });
        is_found
    });
    // The loader's lock is free again.
    is_found.then(|| os::Library::find_loaded(CStr::from_bytes_until_nul(&path).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loaded_library_is_found_by_its_name_and_opened() {
        let is_libc = |name: &[u8]| name.starts_with(b"libc.");
        let Some(Some(library)) = open_named(0, is_libc) else {
            // A program that is linked statically has only itself.
            return;
        };
        assert!(library.symbol(c"malloc").is_some() && library.symbol(c"no_such_function").is_none());
        assert!(open_named(1, is_libc).is_none(), "there is one");
        assert!(open_named(0, |name| name.starts_with(b"no such file")).is_none());
        assert!(loads().is_some_and(|count| count > 0));
    }
}
