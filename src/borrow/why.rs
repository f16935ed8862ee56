//! Questions: who holds a store, and why its bytes may not be overwritten in place.

use super::rules;
use crate::address_index;
use crate::array::{self, Checked};
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::layout::Layout;
use crate::ledger::{self, Claim, Class, Found, Guard, Ledger, Locked, Origin, Promise};
use crate::names::Name;
use crate::pool;
use crate::region::{self, Region};
use crate::slots::Id;
use crate::types::*;

/// What one would like to put into an array's bytes.
pub struct Target<'a> {
    /// Where.
    pub device: tn_device,
    /// Element type as C passes it.
    pub dtype: tn_dtype,
    /// Number of axes as C passes it.
    pub ndim: i32,
    /// Its lengths.
    pub shape: &'a [i64],
}

/// A holder as it is found under the lock; its site is resolved later.
#[derive(Clone, Copy)]
pub struct HolderInfo {
    /// TN_HOLDER_.
    pub kind: i32,
    /// Where the bytes live.
    pub device: tn_device,
    /// The handle's bits, or the address of a block.
    pub id: u64,
    /// Of the store or block.
    pub bytes: u64,
    /// Where it was made.
    pub made: Origin,
    /// When; 0: not kept.
    pub time_ns: u64,
    /// Name of its array or pool.
    pub name: Name,
    /// Of a handle that comes from `tn_host_register`: the bytes that this page-locked.
    pub registered: u64,
}

fn kind_of(class: Class) -> i32 {
    match class {
        Class::Read => TN_HOLDER_GUARD_READ,
        Class::Write => TN_HOLDER_GUARD_WRITE,
        Class::ExportRead => TN_HOLDER_EXPORT_READ,
        Class::ExportShared => TN_HOLDER_EXPORT_SHARED,
        Class::ExportExclusive => TN_HOLDER_EXPORT_EXCLUSIVE,
        Class::Poison | Class::WorkRead | Class::WorkWrite | Class::Group => 0,
    }
}

/// How a guard is shown.
pub fn holder_of_guard(locked: &Locked, guard: &'static Guard) -> HolderInfo {
    let body = locked.get(guard);
    let books = locked.books(locked.ledger_of(guard));
    HolderInfo {
        kind: kind_of(body.class),
        device: books.device,
        id: body.shown_as(guard).id().bits(),
        bytes: books.bytes as u64,
        made: body.made,
        time_ns: body.time_ns,
        name: locked.get(body.owner()).name,
        registered: 0,
    }
}

/// How a claim's handle is shown.
pub fn holder_of_claim(locked: &Locked, claim: &'static Claim) -> HolderInfo {
    let body = locked.get(claim);
    let books = locked.books(locked.ledger_of(claim));
    if let Some(node) = body.node {
        let (device, bytes) = (books.device, books.bytes as u64);
        return HolderInfo {
            kind: TN_HOLDER_EXPRESSION,
            device,
            id: node.id.bits(),
            bytes,
            made: body.made,
            time_ns: 0,
            name: body.name,
            registered: 0,
        };
    }
    // A destructed handle's store is not its own any more.
    let (device, bytes) = if ledger::is_spent(claim) { (array::HOST, 0) } else { (books.device, books.bytes as u64) };
    let registered = locked.registered_bytes(claim);
    let (kind, id, made, name) = (TN_HOLDER_HANDLE, claim.id().bits(), body.made, body.name);
    HolderInfo { kind, device, id, bytes, made, time_ns: 0, name, registered }
}

/// How a promise is shown: with the name of its array; of one that was taken nothing is known any more.
pub fn holder_of_promise(locked: &Locked, promise: &'static Promise) -> HolderInfo {
    let made = locked.get(promise).made;
    let shown = HolderInfo {
        kind: TN_HOLDER_PROMISE,
        device: array::HOST,
        id: promise.id().bits(),
        bytes: 0,
        made,
        time_ns: 0,
        name: Name::NONE,
        registered: 0,
    };
    if ledger::is_spent(promise) {
        return shown;
    }
    let claim = locked.promised(promise);
    let books = locked.books(locked.ledger_of(claim));
    HolderInfo { device: books.device, bytes: books.bytes as u64, name: locked.get(claim).name, ..shown }
}

/// How a raw block of a pool is shown.
pub fn holder_of_block(block: &pool::Located) -> HolderInfo {
    HolderInfo {
        kind: TN_HOLDER_BLOCK,
        device: block.pool.device(),
        id: block.start as u64,
        bytes: block.usable as u64,
        made: Origin { site: block.site, thread: block.thread },
        time_ns: 0,
        // Of what a library allocated its name says most.
        name: if block.client == pool::Client::RAW { block.pool.name() } else { Name::head(block.client.name()) },
        registered: 0,
    }
}

/// Every holder of the store but `asking`: claims and promises of the whole store, guards that overlap `over` (None: all), exports
/// of the whole store or, with `exports_over`, those that overlap.
fn each_holder(
    locked: &Locked,
    ledger: &'static Ledger,
    asking: Option<&'static Claim>,
    over: Option<Region<'_>>,
    exports_over: bool,
    visit: &mut dyn FnMut(HolderInfo),
) {
    locked.each_claim(ledger, |claim| {
        let shown = locked.has_handle(claim) || locked.get(claim).node.is_some();
        if shown && asking.is_none_or(|asking| !core::ptr::eq(asking, claim)) {
            visit(holder_of_claim(locked, claim));
        }
        locked.each_promise(claim, |promise| {
            visit(holder_of_promise(locked, promise));
        });
    });
    locked.each_guard(ledger, |guard| {
        let body = locked.get(guard);
        let whole = body.class.is_export() && !exports_over;
        if whole || over.is_none_or(|over| !region::disjoint(locked.region(body.region()), over)) {
            visit(holder_of_guard(locked, guard));
        }
    });
}

/// Every holder of the store, whatever region it holds.
pub fn all_holders(locked: &Locked, ledger: &'static Ledger, visit: &mut dyn FnMut(HolderInfo)) {
    each_holder(locked, ledger, None, None, false, visit);
}

/// Whether nothing else claims, borrows or exports the store.
pub fn is_unique(id: Id) -> Result<bool> {
    array::with(id, |locked, claim| {
        array::check_there(locked, claim)?;
        array::check_process(locked, claim)?;
        let others = TN_WHY_GIVEN | TN_WHY_SHARED | TN_WHY_IN_EXPRESSION | TN_WHY_EXPORTED | TN_WHY_BORROWED;
        Ok(rules::why(locked, claim) & others == 0)
    })
}

/// The bits that say why the bytes may not be overwritten in place, and everybody who holds them; `visit` runs under the lock.
pub fn why_not(id: Id, target: Option<&Target<'_>>, visit: &mut dyn FnMut(HolderInfo)) -> Result<u32> {
    array::with(id, |locked, claim| {
        array::check_there(locked, claim)?;
        array::check_process(locked, claim)?;
        let mut bits = rules::why(locked, claim);
        if let Some(target) = target {
            bits |= why_target(locked, claim, target)?;
        }
        each_holder(locked, locked.ledger_of(claim), Some(claim), Some(locked.region(claim)), false, visit);
        Ok(bits)
    })
}

fn why_target(locked: &Locked, claim: &'static Claim, target: &Target<'_>) -> Checked<u32> {
    let dtype = Dtype::of(target.dtype)?;
    if target.shape.len() > TN_MAX_NDIM {
        let ndim = target.shape.len();
        return Err(fail(TN_ERR_LIMIT, format_args!("{ndim} axes, at most {TN_MAX_NDIM} are possible")).into());
    }
    if let Some(length) = target.shape.iter().find(|length| **length < 0) {
        return Err(fail(TN_ERR_SHAPE, format_args!("a length of the target's shape is {length}")).into());
    }
    let layout = &locked.get(claim).layout;
    let books = locked.books(locked.ledger_of(claim));
    let Some(bytes) = crate::arith::dense_bytes(dtype.item(), target.shape) else {
        return Err(fail(TN_ERR_LIMIT, format_args!("the target's size overflows")).into());
    };
    let bytes = if target.shape.contains(&0) { 0 } else { bytes };
    let dense = layout.is_c() || layout.is_f();
    let fits = layout.shape() == target.shape || (dense && layout.bytes() >= bytes);
    let mut bits = 0;
    if layout.item() != dtype.item() || !fits {
        bits |= TN_WHY_LAYOUT;
    }
    if books.device != target.device {
        bits |= TN_WHY_DEVICE;
    }
    if books.bytes > bytes.saturating_mul(2) {
        bits |= TN_WHY_WASTE;
    }
    Ok(bits)
}

/// What an address belongs to: a store, or a raw block of a pool.
#[derive(Clone, Copy)]
pub struct Store {
    /// First byte.
    pub address: u64,
    /// How many.
    pub bytes: u64,
    /// Where.
    pub device: tn_device,
    /// TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITE_COMBINED.
    pub flags: u32,
    /// A file is mapped here.
    pub file: bool,
    /// A failed write left a region that nobody may read.
    pub poisoned: bool,
    /// Imports whose release did not run yet.
    pub imports: u32,
    /// Grows with each finished write.
    pub version: u64,
    /// Whose block it is; None: no pool's.
    pub pool: Option<&'static pool::Pool>,
}

/// What there is to say of a store.
pub fn store_of(locked: &Locked, ledger: &'static Ledger) -> Store {
    let books = locked.books(ledger);
    let flags = [(TN_READONLY, books.readonly), (TN_FOREIGN, books.foreign())];
    let memory = locked.pool(ledger).map_or(0, pool::Pool::memory_flags);
    Store {
        address: books.start as u64,
        bytes: books.bytes as u64,
        device: books.device,
        flags: flags.into_iter().fold(memory, |all, (flag, on)| if on { all | flag } else { all }),
        file: books.mapped,
        poisoned: books.poisoned > 0,
        imports: books.leases,
        version: books.version,
        pool: locked.pool(ledger),
    }
}

/// Whose is [start, start + bytes)? Nothing is read there. `visit` runs under the store's lock.
pub fn holders_of(start: u64, bytes: u64, visit: &mut dyn FnMut(HolderInfo)) -> Result<Store> {
    if bytes == 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("bytes is 0; ask for at least one byte")));
    }
    let end = start.checked_add(bytes).filter(|end| *end <= i64::MAX as u64);
    let unknown = || {
        fail(TN_ERR_FOREIGN, format_args!("no store and no pool of this library has bytes of [{start:#x}, +{bytes})"))
    };
    let Some(end) = end else { return Err(unknown()) };
    let (start_at, end_at) = (start as i64, end as i64);
    // The raw block of a pool: of another library that allocates here, or of a caller of the pool.
    let raw = || pool::first_in(start as usize, end as usize).filter(|block| block.owner == 0);
    let found = ledger::find_by_address(&mut address_index::lock()?, start_at, end_at);
    match found {
        Found::Several => Err(fail(
            TN_ERR_ALIASED,
            format_args!("[{start:#x}, +{bytes}) has bytes of more than one store; ask for each alone"),
        )),
        Found::One(locked, ledger) => {
            let span = Layout::contiguous(Dtype::U8, &[bytes as i64], crate::layout::Order::C, start_at)?;
            let over = Region { layout: &span, root: &span };
            each_holder(&locked, ledger, None, Some(over), true, visit);
            let mut store = store_of(&locked, ledger);
            drop(locked);
            // An import of such a block: its allocation holds the bytes too, and they are the pool's.
            if store.pool.is_none()
                && let Some(block) = raw()
            {
                visit(holder_of_block(&block));
                store.pool = Some(block.pool);
            }
            Ok(store)
        }
        Found::Nothing => {
            let Some(block) = raw() else { return Err(unknown()) };
            visit(holder_of_block(&block));
            Ok(Store {
                address: block.start as u64,
                bytes: block.usable as u64,
                device: block.pool.device(),
                flags: 0,
                file: false,
                poisoned: false,
                imports: 0,
                version: 0,
                pool: Some(block.pool),
            })
        }
    }
}
