//! The copies of this library in the process.
//!
//! Each copy has its own pools, arrays and handles. A process gets two when it loads the library from two files by
//! path, or links it statically beside a shared one. Every copy carries an ELF note that leads to its [`Instance`]. The
//! loader lists the objects of the process with their notes, so a copy is found whatever its file name, its visibility
//! (RTLD_LOCAL) and the way it was linked, before its first call.
//!
//! Contract: only cold paths look for other copies, under no lock of the library, and without memory. Not found are
//! copies in another namespace of the loader (`dlmopen`), and in a forked child all others.
//!
//! The format of note and instance is shared by all versions of the library. A later format has another number, and is
//! listed by its version alone.

use super::objects::{self, Object, PATH_BYTES, search};
use super::os;
use crate::types::TN_VERSION;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// What other copies read of this one.
#[repr(C)]
struct Instance {
    /// The generation in which ids begin.
    generation: AtomicU32,
    /// The process that made the first handle.
    process: AtomicU32,
    /// An [`IsLive`]; NULL before the first handle, and while the copy is unloaded. Set last.
    is_live: AtomicPtr<()>,
}

/// Whether a copy has a handle with these bits. Takes no lock and no memory.
pub type IsLive = extern "C" fn(bits: u64) -> u32;

static INSTANCE: Instance = Instance {
    generation: AtomicU32::new(0),
    process: AtomicU32::new(0),
    is_live: AtomicPtr::new(core::ptr::null_mut()),
};

/// The name of the note, which is as long as it says: so the descriptor follows at once, whether notes are aligned to 4
/// or to 8 bytes.
const NOTE_NAME: &[u8; 12] = b"tenure.copy\0";
const NOTE_TYPE: u32 = 1;
const FORMAT: u32 = 1;
/// Format, version, and the distance of the instance from this field.
const NOTE_BYTES: usize = 16;

// In assembly because the distance is a constant that only the linker knows. An address would make the note writable,
// and its value would be wrong until the loader has relocated it.
core::arch::global_asm!(
    ".pushsection .note.tenure, \"a\", @note",
    ".p2align 2",
    ".long 12, {bytes}, {kind}",
    ".asciz \"tenure.copy\"",
    ".long {format}, {version}",
    ".hidden {instance}",
    ".quad {instance} - .",
    ".popsection",
    bytes = const NOTE_BYTES,
    kind = const NOTE_TYPE,
    format = const FORMAT,
    version = const TN_VERSION,
    instance = sym INSTANCE,
);

/// Tells other copies that this one has handles from now on.
pub fn start(generation: u32, is_live: IsLive) {
    INSTANCE.generation.store(generation, Ordering::Relaxed);
    INSTANCE.process.store(os::process_number(), Ordering::Relaxed);
    objects::start();
    // Pairs with the Acquire in `Found::is_live`.
    INSTANCE.is_live.store(is_live as *mut (), Ordering::Release);
}

/// Ends what [`start`] began. When it returns, no other copy is asking this one.
pub fn stop() {
    INSTANCE.is_live.store(core::ptr::null_mut(), Ordering::Release);
    // Waits for searches of other threads: the loader's lock is held during a search.
    search(&mut |_| true);
}

/// A copy of the library.
#[derive(Clone, Copy)]
pub struct Found {
    path: [u8; PATH_BYTES],
    path_length: usize,
    /// major << 16 | minor << 8 | patch
    pub version: u32,
    /// The generation in which its ids begin; None if it has made no handle yet.
    pub generation: Option<u32>,
    /// Whether it is this copy.
    pub is_this: bool,
}

impl Found {
    const NONE: Found = Found { path: [0; PATH_BYTES], path_length: 0, version: 0, generation: None, is_this: false };

    /// The file that contains the copy; "" if the loader does not tell.
    pub fn path(&self) -> &str {
        let path = &self.path[..self.path_length];
        // A path that is no UTF-8 keeps its part before the first other byte.
        core::str::from_utf8(path)
            .unwrap_or_else(|error| core::str::from_utf8(&path[..error.valid_up_to()]).unwrap_or(""))
    }

    fn set_path(&mut self, path: &[u8]) {
        let mut start = path.len().saturating_sub(PATH_BYTES);
        // The second and later bytes of a character.
        while start > 0 && path.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
            start += 1;
        }
        self.path_length = path.len() - start;
        self.path[..self.path_length].copy_from_slice(&path[start..]);
    }
}

/// Calls `visit` with each copy, this one included, in the order in which they were loaded.
pub fn each(mut visit: impl FnMut(&Found)) {
    let mut list = List { copies: [Found::NONE; MOST], count: 0 };
    search(&mut |object| {
        let Some(note) = note_of(object) else { return false };
        list.add(object, note);
        list.count == MOST
    });
    if list.count == 0 {
        // Nothing was searched, or the linker dropped the note.
        list.copies[0] = this();
        list.count = 1;
    }
    list.copies[..list.count].iter().for_each(&mut visit);
}

/// The most copies that are listed.
const MOST: usize = 16;

struct List {
    copies: [Found; MOST],
    count: usize,
}

impl List {
    fn add(&mut self, object: &Object<'_>, note: Note) {
        let found = &mut self.copies[self.count];
        found.version = note.version;
        found.is_this = note.instance.is_some_and(|instance| core::ptr::eq(instance, &INSTANCE));
        found.generation = note.instance.and_then(Instance::generation);
        object.with_path(|path| found.set_path(path));
        self.count += 1;
    }
}

/// This copy, without a search.
fn this() -> Found {
    let mut found = Found { version: TN_VERSION, generation: INSTANCE.generation(), is_this: true, ..Found::NONE };
    os::with_file_of(core::ptr::from_ref(&INSTANCE).addr(), |path| found.set_path(path.to_bytes()));
    found
}

/// Calls `visit` with the other copy that has a live handle with these bits, if there is one. For messages about stale
/// handles.
pub fn owner_of(bits: u64, visit: impl FnOnce(&Found)) {
    // Objects that were searched without a result, by the loader's counts of loaded and unloaded ones.
    static ALONE_AT: AtomicU64 = AtomicU64::new(0);
    let (mut owner, mut others, mut counts) = (None, false, 0);
    search(&mut |object| {
        counts = object.counts();
        if counts == ALONE_AT.load(Ordering::Relaxed) {
            return true;
        }
        let Some(note) = note_of(object) else { return false };
        let Some(instance) = note.instance.filter(|instance| !core::ptr::eq(*instance, &INSTANCE)) else {
            return false;
        };
        others = true;
        if instance.is_live(bits) {
            let mut found = Found { version: note.version, ..Found::NONE };
            object.with_path(|path| found.set_path(path));
            owner = Some(found);
        }
        owner.is_some()
    });
    if !others {
        ALONE_AT.store(counts, Ordering::Relaxed);
    }
    if let Some(found) = owner {
        visit(&found);
    }
}

impl Instance {
    fn generation(&self) -> Option<u32> {
        let started = !self.is_live.load(Ordering::Acquire).is_null();
        started.then(|| self.generation.load(Ordering::Relaxed))
    }

    fn is_live(&self, bits: u64) -> bool {
        let function = self.is_live.load(Ordering::Acquire);
        if function.is_null() {
            return false;
        }
        // SAFETY: only `start` stores here, in this copy or another one of this format, and only such functions. The
        // caller holds the loader's lock: [`stop`] waits for it before the copy's handles end.
        let function = unsafe { core::mem::transmute::<*mut (), IsLive>(function) };
        function(bits) != 0
    }
}

/// The content of a copy's note.
#[derive(Clone, Copy)]
struct Note {
    version: u32,
    /// None for another format.
    instance: Option<&'static Instance>,
}

/// The note of this library, if the object contains a copy.
fn note_of(object: &Object<'_>) -> Option<Note> {
    let notes = object.segments().iter().filter(|segment| segment.p_type == libc::PT_NOTE);
    notes.filter_map(|segment| object.mapped(segment)).find_map(read_notes)
}

/// Finds the library's note in a segment. Its fields are read one by one, because a segment may be aligned to 4 bytes
/// only.
fn read_notes(notes: &[u8]) -> Option<Note> {
    let word = |at: usize| Some(u32::from_ne_bytes(notes.get(at..at + 4)?.try_into().ok()?));
    // Notes of other names may be aligned to 8 bytes, so the search goes on in steps of 4, which find every note.
    (0..notes.len()).step_by(4).find_map(|at| {
        let is_ours = word(at)? as usize == NOTE_NAME.len()
            && word(at + 4)? as usize == NOTE_BYTES
            && word(at + 8)? == NOTE_TYPE
            && notes.get(at + 12..at + 24)? == NOTE_NAME;
        if !is_ours {
            return None;
        }
        let (format, version) = (word(at + 24)?, word(at + 28)?);
        let field = notes.get(at + 32..at + 40)?;
        let distance = i64::from_ne_bytes(field.try_into().ok()?);
        let address = field.as_ptr().addr().wrapping_add_signed(distance as isize);
        // SAFETY: the linker has set the distance to an instance of this format in the object.
        let instance = (format == FORMAT).then(|| unsafe { &*core::ptr::with_exposed_provenance::<Instance>(address) });
        Some(Note { version, instance })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_a_copy() {
        let (mut count, mut path) = (0, String::new());
        each(|found| {
            count += 1;
            path = found.path().to_owned();
            assert!(found.is_this && found.version == TN_VERSION);
        });
        assert_eq!((count, path), (1, std::env::current_exe().unwrap().to_str().unwrap().to_owned()));
    }

    #[test]
    fn an_id_of_nobody_has_no_owner() {
        for _ in 0..2 {
            owner_of(u64::MAX, |_| panic!("an owner"));
        }
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        let mut found = Found::NONE;
        found.set_path(("ä".repeat(200) + "/x").as_bytes());
        assert!(found.path().len() >= PATH_BYTES - 1 && found.path().starts_with('ä') && found.path().ends_with("/x"));
        found.set_path(b"a\xff/b");
        assert_eq!(found.path(), "a");
    }

    #[test]
    fn notes_that_end_early_are_none() {
        let mut notes = [12_u32, 16, 1].into_iter().flat_map(u32::to_ne_bytes).collect::<Vec<u8>>();
        notes.extend(NOTE_NAME);
        notes.extend([2_u32, 7].into_iter().flat_map(u32::to_ne_bytes));
        notes.extend([0; 8]);
        assert!(read_notes(&notes).is_some_and(|note| note.version == 7 && note.instance.is_none()));
        for length in 0..notes.len() {
            assert!(read_notes(&notes[..length]).is_none(), "{length}");
        }
        notes.splice(0..0, [0; 4]);
        assert!(read_notes(&notes).is_some());
    }
}
