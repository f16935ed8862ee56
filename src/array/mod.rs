//! Arrays: creation, views, clones, names, queries, weak handles.
//!
//! Contract: every function takes ids, checks them in the order of the statuses, and changes nothing if it fails. A view never touches
//! bytes. Knows ledgers and layouts; what may be borrowed is `borrow`'s business, moving bytes `transfer`'s. Any thread. `refusal` has
//! what is said to whoever is refused, `view` the other layouts on the same bytes, `weak` the handles without a claim.
#![forbid(unsafe_code)]

mod refusal;

mod view;

mod weak;

pub use refusal::{Checked, Holder, Quoted, Refusal, Where, Why, first_refusal};
pub use view::{Axes, Cut, overlap, parts, view};
pub use weak::{release_weak, upgrade, weaken};

use crate::blit;
use crate::device::cuda;
use crate::device_copy::registered;
use crate::error::{Result, fail};
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, GuardedSlot, LedgerState, Locked, NewStore, One, Origin, Spare};
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::sys::cuda::driver;
use crate::thread;
use crate::types::*;

/// DESTRUCTED: taken from this handle.
#[inline]
pub fn check_there(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    if ledger::is_spent(claim) {
        return Err(destructed(locked, claim));
    }
    Ok(())
}

/// DESTRUCTED or GIVEN: the second class of checks. And DEVICE where the bytes are in another process: see [`check_process`].
#[inline]
pub fn check_live(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    check_there(locked, claim)?;
    if locked.get(claim).given > 0 {
        return Err(given(locked, claim));
    }
    check_process(locked, claim)
}

/// DEVICE: the bytes lie on a device of the process that this one was forked from, or the driver page-locked them there, and nobody says
/// what they are here: the parent's still, a copy, or no memory at all (ST-15). What the program had locked is its own here too.
#[inline]
pub fn check_process<S: GuardedSlot>(locked: &Locked, slot: &'static S) -> Checked<()> {
    if thread::are_devices_in_doubt() { check_origin(locked.books(locked.ledger_of(slot))) } else { Ok(()) }
}

#[cold]
fn check_origin(books: &LedgerState) -> Checked<()> {
    let ours = match books.device.r#type {
        TN_CPU => true,
        TN_CUDA_HOST => registered::flags((books.start, books.start + books.bytes.max(1))).is_some(),
        _ => false,
    };
    if !ours {
        // Loaded long ago, so nothing is asked of it here.
        driver()?;
    }
    Ok(())
}

/// DRIVER: the bytes are a device's that is lost, with the text of what lost it (DV-8).
#[cold]
pub fn check_alive(device: tn_device) -> Checked<()> {
    if matches!(device.r#type, TN_CUDA | TN_CUDA_MANAGED) {
        cuda::gpu(device.id)?.alive()?;
    }
    Ok(())
}

/// DEVICE: the host cannot touch the bytes.
pub fn check_reach(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    let device = locked.books(locked.ledger_of(claim)).device;
    if ledger::is_reachable(device) {
        return Ok(());
    }
    let name = locked.get(claim).name;
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "{} is on device {}, which the host cannot reach; copy it with tn_array_to_device first",
            Quoted(&name),
            crate::device::Shown(device)
        ),
    )
    .into())
}

#[cold]
fn destructed(locked: &Locked, claim: &'static Claim) -> Refusal {
    let body = locked.get(claim);
    Refusal::Taken { subject: body.name, made: body.made, entered: body.entered }
}

#[cold]
fn given(locked: &Locked, claim: &'static Claim) -> Refusal {
    let mut made = Origin::default();
    locked.each_promise(claim, |promise| made = locked.get(promise).made);
    let name = locked.get(claim).name;
    Refusal::By(Holder { status: TN_ERR_GIVEN, subject: name, name, made, count: 1, why: 0, cow: false })
}

/// Runs `body` on the locked claim of a handle, and says a refusal after unlocking.
#[inline]
pub fn with<T>(id: Id, body: impl FnOnce(&mut Locked, &'static Claim) -> Checked<T>) -> Result<T> {
    let (mut locked, claim) = ledger::lock::<Claim>(id)?;
    let outcome = body(&mut locked, claim);
    drop(locked);
    outcome.map_err(Refusal::say)
}

/// What a new array is like beside dtype and shape.
#[derive(Clone, Copy)]
pub struct Options {
    /// Element order.
    pub order: Order,
    /// The name.
    pub name: Name,
}

impl Options {
    /// C order, no name.
    pub const DEFAULT: Options = Options { order: Order::C, name: Name::NONE };
}

/// What the elements of a new array are.
#[derive(Clone, Copy)]
pub enum Contents<'a> {
    /// Whatever was there.
    Undefined,
    /// All bytes 0.
    Zero,
    /// This element, everywhere.
    Full(&'a [u8]),
}

/// A new array on new bytes of a pool; None: the thread's current one of the host.
/// What `layout` is afterwards, nobody may ask.
#[inline(always)]
pub fn create(pool: Option<&'static Pool>, layout: &mut Layout, contents: Contents<'_>, name: &Name) -> Result<Id> {
    let thread = thread::current();
    let pool = match pool {
        Some(pool) => pool,
        None => pool::current_of_host(thread)?,
    };
    let mut fresh = NewStore::allocate(thread, pool, layout, matches!(contents, Contents::Zero))?;
    if let Contents::Full(value) = contents {
        blit::fill(&fresh.place()?, value);
    }
    if !name.is_none() {
        fresh.claim().set_name(*name);
    }
    Ok(fresh.finish())
}

/// The host.
pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// A new array with dtype and shape of another one; its contents are undefined. Without a pool: the current one of its device.
pub fn like(pool: Option<&'static Pool>, prototype: Id, options: Options) -> Result<Id> {
    let mut layout = snapshot(prototype)?.like(options.order)?;
    let pool = match pool {
        Some(pool) => pool,
        None => pool::current(with(prototype, |locked, claim| Ok(locked.books(locked.ledger_of(claim)).device))?)?,
    };
    create(Some(pool), &mut layout, Contents::Undefined, &options.name)
}

/// A copy of a live handle's layout, taken outside of locks.
pub fn snapshot(id: Id) -> Result<Layout> {
    let mut layout = Layout::EMPTY;
    lock_with_layout(id, &mut layout)?;
    Ok(layout)
}

/// Locks the store of a live handle, and copies its layout; room that this needs is made under no lock.
fn lock_with_layout(id: Id, copy: &mut Layout) -> Result<(Locked, &'static Claim)> {
    loop {
        let (locked, claim) = ledger::lock::<Claim>(id)?;
        let state = check_live(&locked, claim);
        let layout = &locked.get(claim).layout;
        let ndim = layout.ndim();
        if state.is_ok() && copy.set(layout) {
            return Ok((locked, claim));
        }
        drop(locked);
        state.map_err(Refusal::say)?;
        *copy = Layout::room(ndim)?;
    }
}

/// Releases a handle of the library's own, also in strict mode.
pub fn release_now(id: Id) -> Result<()> {
    if let Some(one) = One::<Claim>::of(thread::current(), id)
        && one.release()
    {
        return Ok(());
    }
    let (mut locked, claim) = ledger::lock::<Claim>(id)?;
    locked.release(claim);
    Ok(())
}

/// Another claim with the same layout and name.
#[inline(always)]
pub fn clone(id: Id) -> Result<Id> {
    if let Some(mut one) = One::<Claim>::live(thread::current(), id)
        && one.body().given == 0
        && let Some(clone) = one.add_claim(|from, to| to.copy(from).then_some(true))
    {
        return Ok(clone);
    }
    clone_slow(id)
}

/// The same where something is wrong, or more is needed than a slot.
#[cold]
#[inline(never)]
fn clone_slow(id: Id) -> Result<Id> {
    let mut spare = Spare::take(thread::current())?;
    let (mut locked, claim) = lock_with_layout(id, spare.layout())?;
    Ok(locked.copy_claim(claim, spare))
}

/// Ends the claim of a handle; guards, exports and promises keep the bytes. In strict mode they are in the way instead.
#[inline(always)]
pub fn release(id: Id) -> Result<()> {
    if !crate::options::strict()
        && let Some(one) = One::<Claim>::of(thread::current(), id)
        && one.release()
    {
        return Ok(());
    }
    release_slow(id)
}

/// The same where something is wrong, or more ends than the handle.
#[cold]
#[inline(never)]
fn release_slow(id: Id) -> Result<()> {
    with(id, |locked, claim| {
        if crate::options::strict() {
            check_unused(locked, claim)?;
        }
        locked.release(claim);
        Ok(())
    })
}

/// Strict mode: a handle that is given, or through which guards or exports are open, is not released.
#[cold]
pub fn check_unused(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    if ledger::is_spent(claim) {
        return Ok(());
    }
    let body = locked.get(claim);
    if body.given > 0 {
        return Err(given(locked, claim));
    }
    let (status, count) = match (body.writers, body.readers, body.exports) {
        (0, 0, 0) => return Ok(()),
        (0, 0, exports) => (TN_ERR_EXPORTED, exports),
        (0, readers, _) => (TN_ERR_BORROWED, readers),
        (writers, _, _) => (TN_ERR_BORROWED_WRITE, writers),
    };
    let mut made = Origin::default();
    locked.each_guard(locked.ledger_of(claim), |guard| {
        if core::ptr::eq(locked.get(guard).owner(), claim) {
            made = locked.get(guard).made;
        }
    });
    Err(Refusal::By(Holder { status, subject: body.name, name: body.name, made, count, why: 0, cow: false }))
}

/// What an array is; works on live and given handles, and allocates nothing.
pub fn query(id: Id, visit: impl FnOnce(&Locked, &'static Claim, u32)) -> Result<()> {
    with(id, |locked, claim| {
        check_there(locked, claim)?;
        check_process(locked, claim)?;
        let flags = flags(locked, claim);
        visit(locked, claim, flags);
        Ok(())
    })
}

fn flags(locked: &Locked, claim: &'static Claim) -> u32 {
    let body = locked.get(claim);
    let books = locked.books(locked.ledger_of(claim));
    let layout = &body.layout;
    // Nearly always one look at a number: nothing is registered.
    let registered = layout.extent().and_then(registered::flags);
    [
        (TN_PINNED, books.device.r#type == TN_CUDA_HOST || registered.is_some()),
        (TN_MAPPED, registered.is_some_and(|flags| flags & TN_HOST_MAPPED != 0)),
        (TN_C_CONTIGUOUS, layout.is_c()),
        (TN_F_CONTIGUOUS, layout.is_f()),
        (TN_READONLY, body.readonly || books.readonly),
        (TN_ALIGNED, layout.is_aligned()),
        (TN_SELF_OVERLAP, layout.self_overlaps()),
        (TN_FOREIGN, books.foreign()),
    ]
    .into_iter()
    .fold(locked.pool(locked.ledger_of(claim)).map_or(0, Pool::memory_flags), |flags, (flag, on)| {
        if on { flags | flag } else { flags }
    })
}

/// Changes the name; works on live and given handles.
pub fn set_name(id: Id, name: Result<Name>) -> Result<()> {
    with(id, |locked, claim| {
        let name = name?;
        check_there(locked, claim)?;
        check_process(locked, claim)?;
        locked.get_mut(claim).name = name;
        Ok(())
    })
}

/// The pool that the array's bytes came from, with one more hold, the caller's.
pub fn pool(id: Id) -> Result<&'static Pool> {
    with(id, |locked, claim| {
        check_live(locked, claim)?;
        if let Some(pool) = locked.pool(locked.ledger_of(claim)) {
            pool.add_ref();
            return Ok(pool);
        }
        let name = locked.get(claim).name;
        let why = if locked.get(claim).layout.is_empty() { "has no elements" } else { "was imported" };
        Err(fail(TN_ERR_FOREIGN, format_args!("{} {why}, so no pool has its bytes", Quoted(&name))).into())
    })
}

/// Waits for the unfinished device work on the array's bytes: of writers, with TN_WRITE of readers too.
pub fn wait(id: Id, access: u32) -> Result<()> {
    loop {
        let mut points = with(id, |locked, claim| {
            if access == 0 || access & !TN_READ_WRITE != 0 {
                return Err(fail(
                    TN_ERR_INVALID,
                    format_args!("access {access:#x} is none of TN_READ, TN_WRITE and TN_READ_WRITE"),
                )
                .into());
            }
            check_live(locked, claim)?;
            let ledger = locked.ledger_of(claim);
            if thread::are_devices_in_doubt() {
                // What was under way when a device was lost is over, and not done.
                if let Some(point) = locked.lost_over(claim, access & TN_WRITE != 0) {
                    point.queue().gpu().alive()?;
                }
                check_alive(locked.books(ledger).device)?;
            }
            locked.sweep(ledger);
            Ok(locked.work_over(claim, access & TN_WRITE != 0))
        })?;
        if points.is_empty() {
            ledger::look_again(ledger::FEW);
            return Ok(());
        }
        points.wait()?;
    }
}

/// Whether the array is there and has no elements; its state is not looked at.
pub fn is_empty(id: Id) -> bool {
    ledger::lock::<Claim>(id).is_ok_and(|(locked, claim)| locked.get(claim).layout.is_empty())
}
