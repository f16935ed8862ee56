//! Views: further claims on a store, with layouts of their own. No byte is read or written.

use super::check::check_live;
use super::handle::{release_now, snapshot};
use super::refusal::{Refusal, first_refusal};
use crate::error::{Result, about, fail};
use crate::layout::{self, Form, Layout};
use crate::ledger::{self, Claim, ClaimBody, Locked, LockedSlot, Root, SpareClaim, SpareRoot};
use crate::region;
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// Whether a view keeps the root of its array: the layout from which overlaps of views are computed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// slice, index and others: a box of the root.
    Within,
    /// permute with the axes in their order: as Within, of the array's form.
    Unturned,
    /// transpose: as Within, of the transposed form.
    Turned,
    /// reshape: a root of its own, unless the shape is the same.
    Reshaped,
    /// view_dtype: a root of its own.
    OwnRoot,
}

impl Cut {
    #[inline]
    fn keeps(self, view: &Layout, from: &Layout) -> bool {
        match self {
            Cut::Within | Cut::Unturned | Cut::Turned => true,
            Cut::Reshaped => view == from,
            Cut::OwnRoot => false,
        }
    }

    /// The cut of permute. Axes that are wrong are refused later.
    pub(crate) fn permuted(axes: &[i32]) -> Cut {
        match axes {
            [] | [0 | -1] | [0 | -2, 1 | -1] => Cut::Unturned,
            [1 | -1, 0 | -2] => Cut::Turned,
            _ => Cut::Within,
        }
    }

    /// The form of the view of an array of this form.
    #[inline]
    fn form(self, form: Form) -> Form {
        match self {
            Cut::Unturned => form,
            Cut::Turned => form.transposed(),
            Cut::Within | Cut::Reshaped | Cut::OwnRoot => Form::Full,
        }
    }
}

/// The number of axes of a view.
#[derive(Clone, Copy)]
pub enum Axes {
    /// This number.
    Known(usize),
    /// As many as the array, or fewer.
    NoMore,
    /// One more than the array.
    OneMore,
}

impl Axes {
    /// An upper bound for the axes of array and view.
    #[inline]
    fn most(self, array: usize) -> usize {
        match self {
            Axes::Known(view) => array.max(view),
            Axes::NoMore => array,
            Axes::OneMore => array + 1,
        }
    }
}

/// Makes a view, whose layout `derive` computes from the array's. Layouts with more axes than fit inline need memory,
/// so they are derived under no lock.
#[inline]
pub fn view(id: Id, axes: Axes, cut: Cut, derive: impl Fn(&Layout, &mut Layout) -> Result<()>) -> Result<Id> {
    if let Some(mut one) = LockedSlot::<Claim>::live(thread::current(), id)
        && one.body().given == 0
        && axes.most(one.body().layout.ndim()) <= Layout::INLINE_NDIM
        && let Some(view) = one.add_claim(|from, to| fill(from, to, cut, &derive))
    {
        return Ok(view);
    }
    view_slow(id, axes, cut, &derive)
}

/// Makes `to` a view of `from`, and returns whether it keeps the root. None if `derive` fails, or if `from` has no
/// shared root yet.
#[inline(always)]
fn fill(
    from: &ClaimBody,
    to: &mut ClaimBody,
    cut: Cut,
    derive: &impl Fn(&Layout, &mut Layout) -> Result<()>,
) -> Option<bool> {
    derive(&from.layout, &mut to.layout).ok()?;
    let keeps = cut.keeps(&to.layout, &from.layout);
    if keeps && !from.has_root() {
        return None;
    }
    to.readonly = from.readonly || to.layout.stretched();
    to.grants = from.grants;
    to.form = cut.form(from.form);
    Some(keeps)
}

/// The slow path of [`view`]: a check fails, or memory is needed.
#[cold]
#[inline(never)]
fn view_slow(id: Id, axes: Axes, cut: Cut, derive: &dyn Fn(&Layout, &mut Layout) -> Result<()>) -> Result<Id> {
    let thread = thread::current();
    let mut spare = SpareClaim::take(thread)?;
    let mut root: Option<SpareRoot> = None;
    loop {
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        if let Err(refusal) = check_live(&locked, claim) {
            drop(locked);
            return Err(refusal.into_status());
        }
        let from = &locked.get(claim).layout;
        let ndim = from.ndim();
        if axes.most(ndim) > Layout::INLINE_NDIM {
            drop(locked);
            return view_outside(id, cut, derive);
        }
        if let Err(status) = derive(from, spare.layout()) {
            drop(locked);
            return Err(status);
        }
        let keeps = cut.keeps(spare.layout(), from);
        if keeps && !locked.make_root(claim, &mut root) {
            drop(locked);
            root = Some(Root::spare(thread, ndim)?);
            continue;
        }
        return Ok(add_view(&mut locked, claim, cut, keeps, spare));
    }
}

/// A view of many axes: its layout is derived from a copy of the array's, and added if the array's layout has not
/// changed.
#[cold]
fn view_outside(id: Id, cut: Cut, derive: &dyn Fn(&Layout, &mut Layout) -> Result<()>) -> Result<Id> {
    let thread = thread::current();
    loop {
        let from = snapshot(id)?;
        let mut spare = SpareClaim::take(thread)?;
        derive(&from, spare.layout())?;
        let keeps = cut.keeps(spare.layout(), &from);
        let mut root = Some(Root::spare(thread, from.ndim())?);
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        if let Err(refusal) = check_live(&locked, claim) {
            drop(locked);
            return Err(refusal.into_status());
        }
        if locked.get(claim).layout == from && (!keeps || locked.make_root(claim, &mut root)) {
            return Ok(add_view(&mut locked, claim, cut, keeps, spare));
        }
        drop(locked);
    }
}

#[inline]
fn add_view(locked: &mut Locked, claim: &'static Claim, cut: Cut, keeps_root: bool, mut spare: SpareClaim) -> Id {
    if keeps_root {
        locked.share_root(claim, &mut spare);
    }
    let origin = locked.origin();
    let shares_bytes = spare.layout().stretched();
    spare.set_readonly(locked.get(claim).readonly || shares_bytes);
    spare.set_form(cut.form(locked.get(claim).form));
    spare.set_grants(locked.get(claim).grants);
    spare.set_origin(origin);
    let (ledger, lease) = (locked.ledger_of(claim), locked.lease(claim));
    locked.add_claim(ledger, spare, lease)
}

/// Makes views of consecutive parts of an axis, all or none. `outs(i, id)` receives each; None: only the number is
/// returned.
pub fn parts(
    id: Id,
    axis: i32,
    cut: impl Fn(i64) -> layout::Parts,
    capacity: usize,
    outs: Option<&mut dyn FnMut(usize, Id)>,
) -> Result<usize> {
    let whole = snapshot(id)?;
    let axis = whole.axis(axis)?;
    let count = cut(whole.shape()[axis]).len();
    let Some(outs) = outs else { return Ok(count) };
    if capacity < count {
        return Err(fail(
            TN_ERR_COUNT,
            format_args!("{count} views do not fit into a capacity of {capacity}; query the number first"),
        ));
    }
    let mut made: Vec<Id> = Vec::new();
    made.try_reserve_exact(count)
        .map_err(|_| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a list of {count} views")))?;
    for (start, length) in cut(whole.shape()[axis]) {
        match view(id, Axes::NoMore, Cut::Within, |from, to| from.part_to(axis, start, length, to)) {
            Ok(part) => made.push(part),
            Err(status) => {
                for part in made {
                    let _ = release_now(part);
                }
                return Err(status);
            }
        }
    }
    made.iter().enumerate().for_each(|(position, part)| outs(position, *part));
    Ok(count)
}

/// Whether the bytes of two arrays overlap. Those of different stores never do.
pub fn overlap(a: Id, b: Id) -> Result<region::Overlap> {
    let ids = [a, b];
    let locked =
        ledger::lock_all(2, &|i| ledger::ledger_of::<Claim>(ids[i]).map_err(|status| about(status, ["a", "b"][i])))?;
    let mut claims = [None; 2];
    for (place, id) in claims.iter_mut().zip(ids) {
        *place = Some(ledger::find::<Claim>(id)?);
    }
    let [Some(a), Some(b)] = claims else { unreachable!("both were found") };
    let outcome = first_refusal([a, b].into_iter().map(|claim| check_live(&locked, claim).err())).map_or_else(
        || {
            Ok(if core::ptr::eq(locked.ledger_of(a), locked.ledger_of(b)) {
                region::overlap(locked.region(a), locked.region(b))
            } else {
                region::Overlap::None
            })
        },
        Err,
    );
    drop(locked);
    outcome.map_err(Refusal::into_status)
}
