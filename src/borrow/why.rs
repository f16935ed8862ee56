//! Queries: the holders of a store, and why its bytes may not be overwritten in place.

use super::rules;
use crate::address_index;
use crate::array::{self, Checked};
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::layout::{Form, Layout};
use crate::ledger::{self, Claim, Class, Found, Guard, Ledger, Locked, Origin, Promise};
use crate::names::Name;
use crate::pool;
use crate::region::{self, Region};
use crate::slots::Id;
use crate::types::*;

/// The array that a caller wants to put into the bytes of another one.
pub struct Target<'a> {
    pub(crate) device: tn_device,
    pub(crate) dtype: tn_dtype,
    pub(crate) shape: &'a [i64],
}

/// A holder, as found under the lock. Its site is resolved later.
#[derive(Clone, Copy)]
pub struct HolderInfo {
    /// TN_HOLDER_.
    pub(crate) kind: tn_holder_kind,
    pub(crate) device: tn_device,
    /// The handle's bits, or the address of a block.
    pub(crate) id: u64,
    /// Bytes of the store or block.
    pub(crate) bytes: u64,
    pub(crate) origin: Origin,
    /// Time since the epoch; 0: not recorded.
    pub(crate) time_ns: u64,
    /// Name of its array or pool.
    pub(crate) name: Name,
    /// The form of its matrix, for an array handle or an expression.
    pub(crate) form: Form,
    /// Bytes that were page-locked by `tn_host_register`, for a handle that comes from it.
    pub(crate) registered: u64,
    /// The handle through which a guard, export or promise was made; 0: another kind.
    pub(crate) of: u64,
    /// The part of the store that the array of a handle has.
    pub(crate) part: Option<Part>,
    /// TN_WHY_ bits of a handle, if [`all_holders`] found them.
    pub(crate) why: Option<u32>,
}

impl HolderInfo {
    /// A holder of nothing, for the fields that a kind does not have.
    pub(crate) const NONE: HolderInfo = HolderInfo {
        kind: TN_HOLDER_HANDLE,
        device: array::HOST,
        id: 0,
        bytes: 0,
        origin: Origin { site: 0, thread: 0 },
        time_ns: 0,
        name: Name::NONE,
        form: Form::Full,
        registered: 0,
        of: 0,
        part: None,
        why: None,
    };
}

/// Most axes of a [`Part`].
pub(crate) const PART_AXES: usize = 8;

/// Which part of its store an array has.
#[derive(Clone, Copy)]
pub struct Part {
    pub(crate) dtype: Dtype,
    pub(crate) ndim: usize,
    /// The lengths of the first axes.
    pub(crate) shape: [i64; PART_AXES],
    /// Bytes of the store before the array's lowest element.
    pub(crate) offset: u64,
    /// Bytes from the array's lowest element to behind its highest one.
    pub(crate) extent: u64,
    /// Writes through this handle are refused.
    pub(crate) readonly: bool,
}

impl Part {
    fn of(layout: &Layout, start: i64, readonly: bool) -> Part {
        let mut shape = [0; PART_AXES];
        shape.iter_mut().zip(layout.shape()).for_each(|(to, from)| *to = *from);
        let (lowest, end) = layout.extent().unwrap_or((start, start));
        let offset = lowest.saturating_sub(start).max(0) as u64;
        Part { dtype: layout.dtype(), ndim: layout.ndim(), shape, offset, extent: (end - lowest) as u64, readonly }
    }
}

fn kind_of(class: Class) -> tn_holder_kind {
    match class {
        Class::Read => TN_HOLDER_GUARD_READ,
        Class::Write => TN_HOLDER_GUARD_WRITE,
        Class::ExportRead => TN_HOLDER_EXPORT_READ,
        Class::ExportShared => TN_HOLDER_EXPORT_SHARED,
        Class::ExportExclusive => TN_HOLDER_EXPORT_EXCLUSIVE,
        Class::Poison | Class::WorkRead | Class::WorkWrite | Class::Group => 0,
    }
}

/// A guard as a holder.
pub fn holder_of_guard(locked: &Locked, guard: &'static Guard) -> HolderInfo {
    let body = locked.get(guard);
    let state = locked.state(locked.ledger_of(guard));
    HolderInfo {
        kind: kind_of(body.class),
        device: state.device,
        id: body.shown_as(guard).id().bits(),
        bytes: state.bytes as u64,
        origin: body.origin,
        time_ns: body.time_ns,
        name: locked.get(body.owner()).name,
        of: body.owner().id().bits(),
        ..HolderInfo::NONE
    }
}

/// A claim as a holder.
pub fn holder_of_claim(locked: &Locked, claim: &'static Claim) -> HolderInfo {
    let body = locked.get(claim);
    let state = locked.state(locked.ledger_of(claim));
    if let Some(node) = body.node {
        let (device, bytes) = (state.device, state.bytes as u64);
        return HolderInfo {
            kind: TN_HOLDER_EXPRESSION,
            device,
            id: node.id.bits(),
            bytes,
            origin: body.origin,
            name: body.name,
            form: body.form,
            ..HolderInfo::NONE
        };
    }
    if body.keeper != Id::NONE {
        return HolderInfo {
            kind: if body.is_of_variable() { TN_HOLDER_SHARED_VARIABLE } else { TN_HOLDER_MIRROR },
            device: state.device,
            id: body.keeper.bits(),
            bytes: state.bytes as u64,
            origin: body.origin,
            name: body.name,
            form: body.form,
            ..HolderInfo::NONE
        };
    }
    // A destructed handle has no store.
    let (device, bytes) = if ledger::is_spent(claim) { (array::HOST, 0) } else { (state.device, state.bytes as u64) };
    let registered = locked.registered_bytes(claim);
    let part = (!ledger::is_spent(claim)).then(|| Part::of(&body.layout, state.start, body.readonly));
    let (kind, id, origin, name) = (TN_HOLDER_HANDLE, claim.id().bits(), body.origin, body.name);
    HolderInfo { kind, device, id, bytes, origin, name, form: body.form, registered, part, ..HolderInfo::NONE }
}

/// A promise as a holder, with the name of its array. A spent promise has no array.
pub fn holder_of_promise(locked: &Locked, promise: &'static Promise) -> HolderInfo {
    let origin = locked.get(promise).origin;
    let shown = HolderInfo { kind: TN_HOLDER_PROMISE, id: promise.id().bits(), origin, ..HolderInfo::NONE };
    if ledger::is_spent(promise) {
        return shown;
    }
    let claim = locked.promised(promise);
    let state = locked.state(locked.ledger_of(claim));
    let of = claim.id().bits();
    HolderInfo { device: state.device, bytes: state.bytes as u64, name: locked.get(claim).name, of, ..shown }
}

/// A raw block of a pool as a holder.
pub fn holder_of_block(block: &pool::Located) -> HolderInfo {
    HolderInfo {
        kind: TN_HOLDER_BLOCK,
        device: block.pool.device(),
        id: block.start as u64,
        bytes: block.usable as u64,
        origin: Origin { site: block.site, thread: block.thread },
        // A block of another library is shown with that library's name.
        name: if block.client == pool::Client::RAW { block.pool.name() } else { Name::head(block.client.name()) },
        ..HolderInfo::NONE
    }
}

/// Calls `visit` with the holders of a store other than `except`: claims and promises of the whole store; guards that
/// overlap `over` (None: all); exports of the whole store or, with `exports_over`, those that overlap.
fn each_holder(
    locked: &Locked,
    ledger: &'static Ledger,
    except: Option<&'static Claim>,
    over: Option<Region<'_>>,
    exports_over: bool,
    visit: &mut dyn FnMut(HolderInfo),
) {
    locked.each_claim(ledger, |claim| {
        let shown = locked.has_handle(claim) || locked.get(claim).node.is_some();
        if shown && except.is_none_or(|except| !core::ptr::eq(except, claim)) {
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

/// Most guards, exports and expressions of a store with which [`all_holders`] says why each handle may not be
/// overwritten. The answer for one handle looks at all of them, under the store's lock.
const EXPLAINED: u32 = 64;

/// Calls `visit` with every holder of the store. A handle has its `why`, unless the store has very many guards.
pub fn all_holders(locked: &Locked, ledger: &'static Ledger, visit: &mut dyn FnMut(HolderInfo)) {
    let state = locked.state(ledger);
    let explained = state.readers + state.writers + state.exports() + state.records + state.nodes <= EXPLAINED;
    each_holder(locked, ledger, None, None, false, &mut |holder| {
        let asked = explained && holder.kind == TN_HOLDER_HANDLE;
        let claim = if asked { ledger::find::<Claim>(Id::from_bits(holder.id)).ok() } else { None };
        visit(HolderInfo { why: claim.map(|claim| rules::why(locked, claim)), ..holder });
    });
}

/// The store's oldest claim as a holder.
pub fn oldest_claim(locked: &Locked, ledger: &'static Ledger) -> Option<HolderInfo> {
    let mut oldest = None;
    // The list has the newest one first.
    locked.each_claim(ledger, |claim| oldest = Some(claim));
    oldest.map(|claim| holder_of_claim(locked, claim))
}

/// Whether the store has no other claim, guard or export.
pub fn is_unique(id: Id) -> Result<bool> {
    array::with(id, |locked, claim| {
        array::check_not_destructed(locked, claim)?;
        array::check_process(locked, claim)?;
        let others = TN_WHY_GIVEN | TN_WHY_SHARED | TN_WHY_IN_EXPRESSION | TN_WHY_EXPORTED | TN_WHY_BORROWED;
        Ok(rules::why(locked, claim) & others == 0)
    })
}

/// Why the bytes may not be overwritten in place, as bits. Calls `visit` with each holder, under the lock.
pub fn why_not(id: Id, target: Option<&Target<'_>>, visit: &mut dyn FnMut(HolderInfo)) -> Result<u32> {
    array::with(id, |locked, claim| {
        array::check_not_destructed(locked, claim)?;
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
        return Err(fail(TN_ERR_OVERFLOW, format_args!("{ndim} axes, at most {TN_MAX_NDIM} are possible")).into());
    }
    if let Some(length) = target.shape.iter().find(|length| **length < 0) {
        return Err(fail(TN_ERR_SHAPE, format_args!("a length of the target's shape is {length}")).into());
    }
    let layout = &locked.get(claim).layout;
    let state = locked.state(locked.ledger_of(claim));
    let Some(bytes) = crate::arith::dense_bytes(dtype.item(), target.shape) else {
        return Err(fail(TN_ERR_OVERFLOW, format_args!("the target's size overflows")).into());
    };
    let bytes = if target.shape.contains(&0) { 0 } else { bytes };
    let dense = layout.is_c() || layout.is_f();
    let fits = layout.shape() == target.shape || (dense && layout.bytes() >= bytes);
    let mut bits = 0;
    if layout.item() != dtype.item() || !fits {
        bits |= TN_WHY_LAYOUT;
    }
    if state.device != target.device {
        bits |= TN_WHY_DEVICE;
    }
    if state.bytes > bytes.saturating_mul(2) {
        bits |= TN_WHY_WASTE;
    }
    Ok(bits)
}

/// The store, or the raw block of a pool, to which an address belongs.
#[derive(Clone, Copy)]
pub struct Store {
    pub(crate) address: u64,
    pub(crate) bytes: u64,
    pub(crate) device: tn_device,
    /// TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITECOMBINED.
    pub(crate) flags: u32,
    /// A mapped file.
    pub(crate) file: bool,
    /// A failed write left an undefined region.
    pub(crate) poisoned: bool,
    /// The bytes are in a file of the pool.
    pub(crate) spilled: bool,
    /// Number of imports that are not released yet.
    pub(crate) imports: u32,
    /// Number of finished writes.
    pub(crate) version: u64,
    /// When it was made: time since the epoch; 0: not recorded.
    pub(crate) time_ns: u64,
    /// The pool of the block, if it is one.
    pub(crate) pool: Option<&'static pool::Pool>,
}

/// The properties of a store.
pub fn store_of(locked: &Locked, ledger: &'static Ledger) -> Store {
    let state = locked.state(ledger);
    let flags = [(TN_READONLY, state.readonly), (TN_FOREIGN, state.foreign())];
    let memory = locked.pool(ledger).map_or(0, pool::Pool::memory_flags);
    Store {
        address: state.start as u64,
        bytes: state.bytes as u64,
        device: state.device,
        flags: flags.into_iter().fold(memory, |all, (flag, on)| if on { all | flag } else { all }),
        file: state.mapped,
        poisoned: state.poisoned > 0,
        spilled: state.residence.is_away(),
        imports: state.leases,
        version: state.version,
        time_ns: state.time_ns,
        pool: locked.pool(ledger),
    }
}

/// The store of an array in whatever state, and its holders that overlap the array. `visit` runs under the store's
/// lock.
pub fn holders_of_array(id: Id, visit: &mut dyn FnMut(HolderInfo)) -> Result<Store> {
    let extent = array::with(id, |locked, claim| {
        array::check_not_destructed(locked, claim)?;
        array::check_process(locked, claim)?;
        let name = locked.get(claim).name;
        let none = || fail(TN_ERR_FOREIGN, format_args!("{} has no elements, so no bytes", array::Quoted(&name)));
        Ok(locked.get(claim).layout.extent().filter(|(start, end)| start < end).ok_or_else(none)?)
    })?;
    holders_of(extent.0 as u64, (extent.1 - extent.0) as u64, visit)
}

/// The store or block with [start, start + bytes), and its holders. No byte is read there. `visit` runs under the
/// store's lock.
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
    // A block that another library or the program allocated from a pool.
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
            // The store is an import of a raw block, which guards the bytes too.
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
                spilled: false,
                imports: 0,
                version: 0,
                time_ns: 0,
                pool: Some(block.pool),
            })
        }
    }
}
