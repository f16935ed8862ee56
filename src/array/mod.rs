//! Arrays: creation, views, clones, names, forms, queries, weak handles.
//!
//! Contract: a function takes ids, checks them in the order of the status codes, and changes nothing if it fails. A
//! view touches no byte. This module knows ledgers and layouts; `borrow` decides who may use the bytes, and `transfer`
//! moves them. Any thread may call it.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | creation, queries, waiting for device work |
//! | `handle` | clones and releases of handles |
//! | `check` | the checks of a handle's state |
//! | `refusal` | why a call was refused, and by which holder |
//! | `view` | further arrays on the same bytes, with another layout |
//! | `weak` | handles without a claim |
#![forbid(unsafe_code)]

mod check;

mod handle;

mod refusal;

mod view;

mod weak;

pub use check::{
    check_alive, check_guards, check_live, check_not_destructed, check_process, check_reach, check_unused, with,
};
pub use handle::{
    Owned, clone, device, is_empty, lock_with_layout, release, release_if_open, release_if_open_as, release_now,
    snapshot,
};
pub use refusal::{Checked, ExportEnd, Holder, Quoted, Refusal, Where, Why, first_refusal};
pub use view::{Axes, Cut, overlap, parts, view};
pub use weak::{release_weak, upgrade, weaken};

use crate::blit;
use crate::device_copy::registered;
use crate::error::{Result, fail};
use crate::events;
use crate::layout::{Form, Layout, Order};
use crate::ledger::{self, Claim, Locked, NewStore};
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// The host's memory, as a device.
pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// What a new array has beside dtype and shape.
#[derive(Clone, Copy)]
pub struct Options {
    pub(crate) order: Order,
    pub(crate) name: Name,
}

impl Options {
    pub(crate) const DEFAULT: Options = Options { order: Order::C, name: Name::NONE };
}

/// The elements of a new array.
#[derive(Clone, Copy)]
pub enum Contents<'a> {
    /// What the memory contained before.
    Undefined,
    /// All bytes 0.
    Zero,
    /// Each element has these bytes.
    Full(&'a [u8]),
}

/// Creates an array in memory of a pool; None: the thread's current pool of the host. `layout` is left unspecified.
#[inline(always)]
pub fn create(pool: Option<&'static Pool>, layout: &mut Layout, contents: Contents<'_>, name: &Name) -> Result<Id> {
    let thread = thread::current();
    let pool = match pool {
        Some(pool) => pool,
        None => pool::current_of_host(thread)?,
    };
    let mut fresh = NewStore::allocate(thread, pool, layout, matches!(contents, Contents::Zero))?;
    if let Contents::Full(value) = contents {
        blit::fill(&fresh.host_view()?, value);
    }
    if !name.is_none() {
        fresh.claim().set_name(*name);
    }
    Ok(fresh.finish())
}

/// Creates an array with dtype and shape of another one and undefined contents. None: the current pool of that one's
/// device.
pub fn like(pool: Option<&'static Pool>, prototype: Id, options: Options) -> Result<Id> {
    let mut layout = snapshot(prototype)?.like(options.order)?;
    let pool = match pool {
        Some(pool) => pool,
        None => pool::current(device(prototype)?)?,
    };
    create(Some(pool), &mut layout, Contents::Undefined, &options.name)
}

/// The properties of an array.
pub struct Info<'a> {
    /// Type, shape and strides.
    pub layout: &'a Layout,
    /// Where the bytes are.
    pub device: tn_device,
    /// TN_C_CONTIGUOUS and the like.
    pub flags: tn_array_flags,
    /// Bytes of the whole store.
    pub store_bytes: u64,
    /// Bytes from the store's start to element (0,..,0).
    pub offset: i64,
    /// The form of the handle.
    pub form: Form,
    /// The array's name.
    pub name: &'a Name,
}

/// Calls `visit` with the properties of an array, under the ledger's lock. Accepts live and given handles; allocates
/// nothing.
pub fn query(id: Id, visit: impl FnOnce(&Info<'_>)) -> Result<()> {
    with(id, |locked, claim| {
        check_not_destructed(locked, claim)?;
        check_process(locked, claim)?;
        let flags = flags(locked, claim);
        let body = locked.get(claim);
        let state = locked.state(locked.ledger_of(claim));
        let (layout, store_bytes) = (&body.layout, state.bytes as u64);
        let offset = layout.offset() - state.start;
        visit(&Info { layout, device: state.device, flags, store_bytes, offset, form: body.form, name: &body.name });
        Ok(())
    })
}

fn flags(locked: &Locked, claim: &'static Claim) -> u32 {
    let body = locked.get(claim);
    let state = locked.state(locked.ledger_of(claim));
    let layout = &body.layout;
    // Usually one comparison: nothing is registered.
    let registered = layout.extent().and_then(registered::flags);
    [
        (TN_PINNED, state.device.r#type == TN_CUDA_HOST || registered.is_some()),
        (TN_MAPPED, registered.is_some_and(|flags| flags & TN_HOST_MAPPED != 0)),
        (TN_C_CONTIGUOUS, layout.is_c()),
        (TN_F_CONTIGUOUS, layout.is_f()),
        (TN_READONLY, body.readonly || state.readonly),
        (TN_ALIGNED, layout.is_aligned()),
        (TN_SELF_OVERLAP, layout.self_overlaps()),
        (TN_FOREIGN, state.foreign()),
        (TN_SPILLED, state.residence.is_away()),
    ]
    .into_iter()
    .fold(locked.pool(locked.ledger_of(claim)).map_or(0, Pool::memory_flags), |flags, (flag, on)| {
        if on { flags | flag } else { flags }
    })
}

/// Changes the name. Accepts live and given handles.
pub fn set_name(id: Id, name: Result<Name>) -> Result<()> {
    with(id, |locked, claim| {
        let name = name?;
        check_not_destructed(locked, claim)?;
        check_process(locked, claim)?;
        locked.get_mut(claim).name = name;
        events::name(id.bits(), locked.get(claim).layout.offset() as u64, name.as_str());
        Ok(())
    })
}

/// Sets whether the bytes of the array may be spilled by its pool. Spilled bytes come back first if not.
pub fn set_spillable(id: Id, on: bool) -> Result<()> {
    loop {
        let away = with(id, |locked, claim| {
            check_not_destructed(locked, claim)?;
            check_process(locked, claim)?;
            let ledger = locked.ledger_of(claim);
            if locked.is_spillable(ledger) == on {
                return Ok(None);
            }
            if on && !locked.can_be_spilled(ledger) {
                return Err(fail(
                    TN_ERR_UNSUPPORTED,
                    format_args!(
                        "{} cannot be spilled: its pool spills nothing, or only larger arrays (tn_pool_set_spill)",
                        Quoted(&locked.get(claim).name)
                    ),
                )
                .into());
            }
            if locked.state(ledger).residence.is_away() {
                return Ok(Some(ledger.tag()));
            }
            locked.set_spillable(ledger, on);
            Ok(None)
        })?;
        match away {
            Some(tag) => ledger::bring_back(tag, &[])?,
            None => return Ok(()),
        }
    }
}

/// Changes the form. No byte is read or written, so the array may be borrowed, exported, READONLY or poisoned.
pub fn set_form(id: Id, form: Result<Form>) -> Result<()> {
    with(id, |locked, claim| {
        let form = form?;
        check_live(locked, claim)?;
        form.check(locked.get(claim).layout.shape())?;
        locked.get_mut(claim).form = form;
        Ok(())
    })
}

/// The pool that allocated the array's bytes, with one more reference, which the caller owns.
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

/// Waits for unfinished device work on the array's bytes: that of writers, with TN_WRITE also that of readers.
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
                // Work that was unfinished when its device was lost has ended without a result.
                if let Some(point) = locked.lost_over(claim, access & TN_WRITE != 0) {
                    point.stream().gpu().alive()?;
                }
                check_alive(locked.state(ledger).device)?;
            }
            locked.drop_passed_work(ledger);
            Ok(locked.work_over(claim, access & TN_WRITE != 0))
        })?;
        if points.is_empty() {
            ledger::poll_deferred(ledger::POLLED_PER_CALL);
            return Ok(());
        }
        points.wait()?;
    }
}
