//! Arrays for other processes of this machine: a descriptor, and the descriptor of a file that has the bytes. This file
//! is about arrays of the host; for those of GPUs see `device`.
//!
//! Contract: an array in shareable memory (TN_POOL_SHAREABLE) is shared, any other copied into such memory. The file
//! holds that array's block alone, keeps its size, and after a read-only export nobody else can become a writer of it
//! (IP-1 to IP-6). An import is safe whoever sent it: a descriptor and a file that do not fit are a status, and nothing
//! stays mapped.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | exports and imports |
//! | `offer` | arrays that one process gives another |
//! | `lock` | guards that exclude those of other processes |
//! | `descriptor` | the descriptor's format |
//! | `turn` | threads that import one file |
//! | `sent` | what an export sends, and what imports of all memory have in common |
//! | `device` | exports and imports of arrays of GPUs |
//! | `device_descriptor` | the format of their descriptors |

mod descriptor;

mod device;

mod device_descriptor;

mod lock;

mod offer;

mod sent;

mod turn;

pub use descriptor::{Descriptor, MOST_BYTES};
pub use lock::{end as end_locked, open as open_locked};
pub use offer::end as end_offer;
pub use sent::Described;

use self::descriptor::Shared;
use self::sent::{cannot_write, sender_name};
use self::turn::Turn;

use crate::array::{self, HOST};
use crate::device::shareable::{self, Mapped};
use crate::error::{Result, Status, fail};
use crate::exchange::host::{self, Export, Exported, Import, Imported, Joined};
use crate::exchange::mapping;
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, Class, InternalGuard, Release};
use crate::names::Name;
use crate::pool::{self, Pool, PoolOptions};
use crate::slots::Id;
use crate::sys::file::{Access, Errno, File};
use crate::sys::process::Process;
use crate::sys::{memory_file, os};
use crate::thread::QuickLock;
use crate::types::*;
use core::ffi::{CStr, c_int};

/// The flags that an export accepts.
pub const EXPORT_FLAGS: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_IPC_PRIVATE | TN_IPC_WRITABLE | TN_IPC_GIVE | TN_WAIT;

/// The flags that an import accepts.
pub const IMPORT_FLAGS: u32 = TN_IPC_WRITABLE | TN_IPC_TRUSTED | TN_IPC_GIVE;

/// Why an array cannot be shared as it is.
const ELSEWHERE: &str = "the bytes are not in shareable memory; make the array in a pool with TN_POOL_SHAREABLE";
const NOT_SOLE: &str = "another process may have the bytes, because they were exported or imported; give away a copy";
const READONLY_POOL: &str =
    "the array's pool has TN_POOL_READONLY_EXPORTS; make arrays that others write in a pool without that flag";
const NO_WRITERS: &str = "the array was exported read-only before, after which nobody else can write its memory";

/// The process's pools for copies of arrays that are elsewhere: for others to write, and to read. Each is made once, and
/// never released.
fn own_pool(readonly: bool) -> Result<&'static Pool> {
    static POOLS: QuickLock<[Option<&'static Pool>; 2]> = QuickLock::new([None; 2]);
    if let Some(pool) = POOLS.lock()[usize::from(readonly)] {
        return Ok(pool);
    }
    let flags = TN_POOL_SHAREABLE | if readonly { TN_POOL_READONLY_EXPORTS } else { 0 };
    let mut options = PoolOptions { flags, ..PoolOptions::default() };
    options.set_name(b"shared copies")?;
    let made = pool::create(HOST, &options)?;
    let mut pools = POOLS.lock();
    let pool = &mut pools[usize::from(readonly)];
    if let Some(first) = *pool {
        drop(pools);
        made.drop_ref();
        return Ok(first);
    }
    *pool = Some(made);
    Ok(made)
}

/// Memory that can be shared.
struct Memory {
    /// The first address, and the size in bytes.
    start: usize,
    bytes: usize,
    /// Whether no export of it is to be written.
    readonly: bool,
    /// This process's descriptor of its file.
    own: File,
    /// That for the importer.
    sent: File,
}

/// The memory of an array's bytes. None: it is not shareable.
fn memory_of(layout: &Layout, access: Access) -> Result<Option<Memory>> {
    if let Some((start, _)) = layout.extent() {
        let Some(found) = shareable::find(start as usize) else { return Ok(None) };
        let (own, sent) = (File::lent(found.fd), found.open(access)?);
        let (start, bytes, readonly) = (found.start, found.bytes, found.readonly);
        return Ok(Some(Memory { start, bytes, readonly, own, sent }));
    }
    // Nothing to share, but the caller gets a descriptor.
    let bytes = os::page_bytes();
    let file = memory_file::create(c"tenure", bytes).map_err(shareable::no_descriptor)?;
    let (start, own) = (layout.offset() as usize, File::lent(file.fd()));
    Ok(Some(Memory { start, bytes, readonly: false, own, sent: file }))
}

/// Exports an array. `capacity`: bytes that the caller has for the descriptor; TN_ERR_COUNT if they are too few.
pub fn export(function: &'static CStr, id: Id, flags: u32, capacity: usize) -> Result<(Exported, Described)> {
    ledger::find::<Claim>(id)?;
    host::check_flags(flags, EXPORT_FLAGS)?;
    let (ndim, name, on) = array::with(id, |locked, claim| {
        array::check_live(locked, claim)?;
        let (body, state) = (locked.get(claim), locked.state(locked.ledger_of(claim)));
        Ok((body.layout.ndim(), body.name, state.device))
    })?;
    let is_of_gpu = on.r#type == TN_CUDA;
    let needed = if is_of_gpu { device_descriptor::bytes_for(ndim) } else { descriptor::bytes_for(ndim) };
    if capacity < needed {
        let text = format_args!(
            "capacity is {capacity}, and the descriptor has {needed} bytes; TN_IPC_DESCRIPTOR_BYTES are always enough"
        );
        return Err(fail(TN_ERR_COUNT, text));
    }
    let gives = flags & TN_IPC_GIVE != 0;
    let class = match flags & TN_IPC_WRITABLE != 0 {
        _ if gives => Class::ExportExclusive,
        true => Class::ExportShared,
        false => Class::ExportRead,
    };
    let crossing = flags & (TN_BORROW | TN_REQUIRE_BORROW | TN_WAIT);
    let request = Export { function, flags: crossing, class, copy: class, unique: gives };
    if is_of_gpu {
        return device::export(id, on, &request, name);
    }
    let sending = Sending { class, name };
    match export_alias(id, &request, &sending)? {
        Ok(sent) => Ok(sent),
        // A copy is the caller's to make: the array that is given away is this one.
        Err(why) if gives || flags & TN_REQUIRE_BORROW != 0 => Err(fail(TN_ERR_WOULD_COPY, format_args!("{why}"))),
        Err(_) => {
            let describe = |guard: &InternalGuard| {
                let found = memory_of(guard.layout(), sending.access())?;
                sending.describe(guard, found.ok_or_else(|| fail(TN_ERR_IO, format_args!("{ELSEWHERE}")))?)
            };
            let why = TN_WHY_NOT_ALIASABLE;
            let own_pool = || own_pool(class == Class::ExportRead);
            host::export_copy_into(id, &request, why, Order::A, own_pool, describe)
        }
    }
}

/// An export of an array's own bytes. Err: only a copy can be shared, and why.
type Aliased<T> = core::result::Result<T, &'static str>;

/// Shares the array's own bytes.
fn export_alias(id: Id, request: &Export, sending: &Sending) -> Result<Aliased<(Exported, Described)>> {
    let alias = Export { flags: request.flags & !TN_REQUIRE_BORROW | TN_BORROW, ..*request };
    let is_elsewhere = |layout: &Layout| {
        let start = layout.extent().map(|(start, _)| start as usize);
        start.filter(|start| !shareable::has(*start)).map(|_| ELSEWHERE)
    };
    let when = ledger::UseTime::HOST.waiting(request.flags & TN_WAIT != 0);
    let Some(guard) = host::open_alias(id, &alias, when, &array::check_reach, &is_elsewhere)? else {
        return Ok(Err(ELSEWHERE));
    };
    let outcome = memory_of(guard.layout(), sending.access()).and_then(|found| match found {
        None => Ok(Err(ELSEWHERE)),
        Some(found) => match sending.obstacle(guard.layout(), &found) {
            Some(why) => Ok(Err(why)),
            None => sending.describe(&guard, found).map(Ok),
        },
    });
    match outcome {
        Ok(Ok(described)) => Ok(Ok((Exported { guard, how: TN_ALIASED }, described))),
        Ok(Err(why)) => {
            guard.end(false);
            Ok(Err(why))
        }
        Err(status) => {
            guard.end(false);
            Err(status)
        }
    }
}

/// What an export says beside the layout.
struct Sending {
    class: Class,
    name: Name,
}

impl Sending {
    /// What the importer may do.
    fn access(&self) -> Access {
        if self.class == Class::ExportRead { Access::Read } else { Access::Write }
    }

    /// Why the bytes cannot be shared as they are.
    fn obstacle(&self, layout: &Layout, memory: &Memory) -> Option<&'static str> {
        let start = layout.extent().map(|(start, _)| start as usize);
        match self.class {
            Class::ExportRead => None,
            _ if memory.readonly => Some(READONLY_POOL),
            Class::ExportExclusive if start.is_some_and(|start| !shareable::is_sole(start)) => Some(NOT_SOLE),
            _ => memory_file::has_no_new_writers(&memory.own).then_some(NO_WRITERS),
        }
    }

    /// Describes the elements of an open export in their memory, which other processes may have from now on.
    fn describe(&self, guard: &InternalGuard, memory: Memory) -> Result<Described> {
        let Memory { start, bytes: file_bytes, own, sent, .. } = memory;
        let shared = match self.class {
            Class::ExportExclusive => Shared::Offered(offer::begin(guard, &sent)?),
            Class::ExportShared => Shared::Writable,
            _ => {
                if !memory_file::has_no_new_writers(&own) {
                    memory_file::seal(&own, memory_file::NO_NEW_WRITERS).map_err(|errno| {
                        let text = format_args!("the system cannot share memory read-only (Linux 5.1 can): {errno}");
                        fail(TN_ERR_UNSUPPORTED, text)
                    })?;
                }
                Shared::ReadOnly
            }
        };
        note_exported(start, self.class == Class::ExportExclusive);
        let mut descriptor = [0; MOST_BYTES];
        let (layout, process) = (guard.layout(), Process::this());
        let (base, file_bytes) = (start as i64, file_bytes as u64);
        let bytes = Descriptor::write(&mut descriptor, layout, base, file_bytes, shared, process, self.name);
        Ok(Described { descriptor, bytes, file: sent })
    }
}

/// Notes that another process may have the file of a block from now on, which the caller holds; unless `offered`, also
/// the bytes.
pub fn note_exported(start: usize, offered: bool) {
    if shareable::set_exported(start, offered)
        && let Some(block) = pool::locate(start)
    {
        block.pool.clear_behind(block.start, block.requested);
    }
}

#[cold]
fn refused(what: &str) -> Status {
    fail(TN_ERR_INVALID, format_args!("the descriptor's fd {what}; pass the one that came with it"))
}

/// Checks that a file can be mapped as a descriptor says, and returns its size and identity. A file that could shrink
/// would end this process.
fn check_file(file: &File, described: &Descriptor, flags: u32) -> Result<(u64, (u64, u64))> {
    let writes = flags & (TN_IPC_WRITABLE | TN_IPC_GIVE) != 0;
    let io = |errno: Errno| fail(TN_ERR_IO, format_args!("fd {}: {errno}", file.fd()));
    let stat = file.stat().map_err(io)?;
    let (readable, writable) = memory_file::access(file).map_err(io)?;
    if !stat.is_regular() || !readable {
        return Err(refused("is no memory that can be read"));
    }
    let seals = memory_file::seals(file).map_err(|_| refused("is no memory, but a file of another kind"))?;
    if seals & libc::F_SEAL_SHRINK == 0 && flags & TN_IPC_TRUSTED == 0 {
        return Err(refused("has no seal against shrinking, and TN_IPC_TRUSTED was not given"));
    }
    if writes && !described.writable {
        return Err(cannot_write("the export is read-only"));
    }
    if writes && (!writable || seals & (memory_file::NO_NEW_WRITERS | libc::F_SEAL_WRITE) != 0) {
        return Err(cannot_write("the memory is read-only"));
    }
    let (first, end) = described.layout.extent().unwrap_or((0, 0));
    if first < 0 || u64::try_from(end).is_ok_and(|end| end > stat.bytes) || isize::try_from(stat.bytes).is_err() {
        let text = format_args!("the array has bytes {first} to {end}, and the memory of the fd has {}", stat.bytes);
        return Err(fail(TN_ERR_RANGE, text));
    }
    if !described.layout.is_aligned() {
        let (offset, align) = (described.layout.offset(), described.layout.dtype().align());
        let text = format_args!(
            "offset {offset} or the strides are not multiples of {align} bytes, the alignment of the elements"
        );
        return Err(fail(TN_ERR_LAYOUT, text));
    }
    Ok((stat.bytes, stat.identity))
}

/// Imports an array that another process exported, or this one.
pub fn import(function: &'static CStr, bytes: &[u8], fd: c_int, flags: u32) -> Result<Imported> {
    host::check_flags(flags, IMPORT_FLAGS)?;
    if device_descriptor::is_one(bytes) {
        return device::import(function, bytes, fd, flags);
    }
    let described = Descriptor::read(bytes)?;
    let file = File::lent(fd);
    let takes = flags & TN_IPC_GIVE != 0;
    match described.offer {
        Some(_) if !takes => {
            let text = format_args!("the array is offered, not shared; take it with TN_IPC_GIVE");
            return Err(fail(TN_ERR_GIVEN, text));
        }
        None if takes => {
            let text = format_args!("TN_IPC_GIVE: the array is shared, not offered; export it with TN_IPC_GIVE too");
            return Err(fail(TN_ERR_INVALID, text));
        }
        _ => {}
    }
    let (file_bytes, identity) = check_file(&file, &described, flags)?;
    let id = array_of(function, &described, &file, (file_bytes, identity), flags)?;
    if let Some(value) = described.offer {
        offer::take(&file, identity, value).inspect_err(|_| {
            // The handle is known to this function alone.
            let _ = array::release_now(id);
        })?;
    }
    Ok(Imported { id, how: TN_ALIASED })
}

/// Maps the file, unless this process has it, and makes an array of it.
fn array_of(
    function: &'static CStr,
    described: &Descriptor,
    file: &File,
    (file_bytes, identity): (u64, (u64, u64)),
    flags: u32,
) -> Result<Id> {
    let takes = flags & TN_IPC_GIVE != 0;
    let readonly = flags & (TN_IPC_WRITABLE | TN_IPC_GIVE) == 0;
    if described.layout.is_empty() {
        let import = Import {
            function,
            device: HOST,
            layout: &described.layout,
            flags: TN_REQUIRE_BORROW | if readonly { TN_IMPORT_READONLY } else { 0 },
            release: Release::None,
            after: None,
        };
        // SAFETY: an array without elements has no bytes.
        return unsafe { host::import(import) }.map(|imported| imported.id);
    }
    let _turn = Turn::take(identity)?;
    if let Some(id) = own_array(described, file, identity, readonly, takes)? {
        return Ok(id);
    }
    let layout = described.layout.try_clone()?;
    let access = if readonly { Access::Read } else { Access::Write };
    let mapping = file.map(file_bytes as usize, access).map_err(|errno| {
        let fd = file.fd();
        fail(TN_ERR_NO_HOST_MEMORY, format_args!("the {file_bytes} bytes of fd {fd} could not be mapped: {errno}"))
    })?;
    shareable::add(&mapping, file, identity, (!readonly, takes), described.process).inspect_err(|_| {
        // SAFETY: mapped above, and nobody has the address.
        unsafe { mapping.unmap() }
    })?;
    mapping::array(mapping::Mapped {
        release: Release::Forget(mapping),
        range: (mapping.address as i64, file_bytes as i64),
        layout,
        readonly,
        shared: !takes,
        name: sender_name(described.name, described.process.id),
    })
}

/// Another handle on an array of this process, if the file is that of memory that has one. Two stores of it would not
/// know of each other. In the turn of this thread. TN_ERR_RANGE: the array of this process has fewer bytes.
fn own_array(
    described: &Descriptor,
    file: &File,
    identity: (u64, u64),
    readonly: bool,
    takes: bool,
) -> Result<Option<Id>> {
    let mut from = 0;
    while let Some(range) = shareable::next_of_file(identity, from) {
        let Mapped { start, bytes, writable } = range;
        from = start + 1;
        let (first, end) = described.layout.extent().unwrap_or((0, 0));
        let outside = || {
            let text = format_args!(
                "the array has bytes {first} to {end} of memory of which this process has {bytes} in use already; release its \
                 arrays of this memory first"
            );
            Err(fail(TN_ERR_RANGE, text))
        };
        if end as u64 > bytes as u64 {
            return outside();
        }
        let mut layout = described.layout.try_clone()?;
        layout.rebase(start as u64)?;
        // The store is locked when the file is looked for again: then its memory stays, and is that of the file.
        match host::join(layout, readonly, takes, || shareable::next_of_file(identity, start) == Some(range))? {
            Joined::Handle(id) => {
                if !readonly && !writable {
                    make_writable(id, start, file).inspect_err(|_| {
                        // The handle is known to this function alone.
                        let _ = array::release_now(id);
                    })?;
                }
                return Ok(Some(id));
            }
            Joined::Part => return outside(),
            // Memory without an array, or whose last one has just ended.
            Joined::Nothing => {}
        }
    }
    Ok(None)
}

/// Lets an array be written whose memory was mapped read-only. Its handle keeps the memory.
fn make_writable(id: Id, start: usize, file: &File) -> Result<()> {
    shareable::make_writable(start, file).map_err(|errno| {
        fail(
            TN_ERR_NO_HOST_MEMORY,
            format_args!("memory that was mapped to be read cannot be mapped to be written: {errno}"),
        )
    })?;
    host::make_store_writable(id)
}
