//! Arrays: creation, views, clones, names, queries, weak handles.
//!
//! Contract: every function takes ids, checks them in the order of the statuses, and changes nothing if it fails. A view never touches
//! bytes. Knows ledgers and layouts; what may be borrowed is `borrow`'s business, moving bytes `transfer`'s. Any thread.
#![forbid(unsafe_code)]

use crate::blit;
use crate::error::{Result, Status, about, fail};
use crate::layout::{self, Layout, Order};
use crate::ledger::{self, Claim, Fresh, Locked, Made, Operation, Spare, SpareRoot, SpareWeak, Weak};
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::region;
use crate::slots::Id;
use crate::thread;
use crate::types::*;
use core::fmt;

/// Why a call under a lock was refused: said already, or to be said once the lock is gone, because a site's text needs another lock.
pub enum Refusal {
    /// The draft is written.
    Said(Status),
    /// Somebody stands in the way.
    By(Holder),
    /// Nothing is wrong, and there is nothing to do.
    Nothing,
}

/// Who stands in the way of what.
pub struct Holder {
    /// The status.
    pub status: tn_status,
    /// Name of the array that was asked for.
    pub subject: Name,
    /// Name of the holder's array.
    pub name: Name,
    /// Where the holder was made.
    pub made: Made,
    /// How many of its kind there are.
    pub count: u32,
    /// TN_WHY_ bits, of a copy that is refused; number of the operation that an expression is for.
    pub why: u32,
}

/// What a check under a lock gives.
pub type Checked<T> = core::result::Result<T, Refusal>;

impl From<Status> for Refusal {
    fn from(status: Status) -> Refusal {
        Refusal::Said(status)
    }
}

impl Refusal {
    /// The status alone.
    pub fn code(&self) -> tn_status {
        match self {
            Refusal::Said(status) => status.code(),
            Refusal::By(holder) => holder.status,
            Refusal::Nothing => TN_OK,
        }
    }

    /// Writes the draft. Under no lock.
    #[cold]
    pub fn say(self) -> Status {
        match self {
            Refusal::Said(status) => status,
            Refusal::By(holder) => holder.say(),
            Refusal::Nothing => fail(TN_ERR_PANIC, format_args!("a call with nothing to do went on")),
        }
    }
}

/// `"weights" `, or nothing.
pub struct Quoted<'a>(pub &'a Name);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_none() { f.write_str("the array") } else { write!(f, "\"{}\"", self.0.as_str()) }
    }
}

/// ` at step.c:41`, or ` by thread 123`.
pub struct Where(pub Made);

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = self.0.site().name();
        if site.is_none() { write!(f, "by thread {}", self.0.thread) } else { write!(f, "at {}", site.as_str()) }
    }
}

impl Holder {
    fn say(self) -> Status {
        let subject = Quoted(&self.subject);
        let at = Where(self.made);
        let through = if self.name.is_none() || self.name == self.subject {
            Name::NONE
        } else {
            self.name
        };
        let other = |f: &mut fmt::Formatter<'_>| {
            if through.is_none() { Ok(()) } else { write!(f, ", through \"{}\"", through.as_str()) }
        };
        let other = Fmt(other);
        let times = Fmt(|f: &mut fmt::Formatter<'_>| match self.count {
            1 => write!(f, "({at}{other})"),
            count => write!(f, "{count} times (first {at}{other})"),
        });
        match self.status {
            TN_ERR_DESTRUCTED => fail(
                TN_ERR_DESTRUCTED,
                format_args!("{subject} was given away and taken {at}; this handle can only be released"),
            ),
            TN_ERR_GIVEN => fail(
                TN_ERR_GIVEN,
                format_args!("{subject} was given away {at}; take or cancel its promise before using this handle"),
            ),
            TN_ERR_POISONED => fail(
                TN_ERR_POISONED,
                format_args!(
                    "{subject} was left undefined by a writer that failed (its guard was taken {at}{other}); rewrite all of it with TN_WRITE_DISCARD"
                ),
            ),
            TN_ERR_READONLY => fail(
                TN_ERR_READONLY,
                format_args!("{subject} is read-only; write to a copy, or use TN_WRITE_COW"),
            ),
            TN_ERR_BORROWED_WRITE => fail(
                TN_ERR_BORROWED_WRITE,
                format_args!("{subject} is borrowed for writing {times}; end that borrow"),
            ),
            TN_ERR_BORROWED => fail(
                TN_ERR_BORROWED,
                format_args!(
                    "{subject} is borrowed for reading {times}; end those borrows, or use TN_WRITE_COW"
                ),
            ),
            TN_ERR_EXPORTED => fail(
                TN_ERR_EXPORTED,
                format_args!("{subject} is exported {times}; drop the consumer's view, or write to a copy"),
            ),
            TN_ERR_SHARED => fail(
                TN_ERR_SHARED,
                format_args!(
                    "{subject} shares its bytes with {} other handle(s) or promise(s) (one made {at}{other}); release them, or use TN_WRITE_COW",
                    self.count
                ),
            ),
            TN_ERR_IN_EXPRESSION => fail(
                TN_ERR_IN_EXPRESSION,
                format_args!(
                    "{subject} is held by a lazy expression ({}, made {at}); compute or release it, or use TN_WRITE_COW",
                    Waits(self.why)
                ),
            ),
            TN_ERR_WOULD_COPY => fail(
                TN_ERR_WOULD_COPY,
                format_args!(
                    "writing {subject} would copy it ({}; held {at}{other}), and the thread forbids copies (tn_copies_forbid)",
                    Why(self.why)
                ),
            ),
            TN_ERR_FOREIGN => fail(
                TN_ERR_FOREIGN,
                format_args!("{subject} is lent by somebody who may still use its bytes; use TN_WRITE_COW, or import it with TN_MAY_OVERWRITE"),
            ),
            status => fail(status, format_args!("{subject} is not available {at}{other}")),
        }
    }
}

/// TN_WHY_ bits in words.
pub struct Why(pub u32);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 12] = [
            "given",
            "shared",
            "in an expression",
            "exported",
            "borrowed",
            "read-only",
            "foreign",
            "poisoned",
            "its layout",
            "another device",
            "wasteful",
            "not aliasable",
        ];
        let mut first = true;
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                f.write_str(if first { "" } else { ", " })?;
                f.write_str(name)?;
                first = false;
            }
        }
        if first { f.write_str("asked for") } else { Ok(()) }
    }
}

/// What an expression waits for.
struct Waits(u32);

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Operation::ALL.get(self.0 as usize) {
            None | Some(Operation::Leaf) => f.write_str("a leaf that nothing uses yet"),
            Some(operation) => write!(f, "waiting for {}", operation.name()),
        }
    }
}

/// A closure as a Display: no text is made before it is written.
struct Fmt<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Fmt<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// DESTRUCTED: taken from this handle.
#[inline]
pub fn check_there(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    if ledger::is_spent(claim) {
        return Err(destructed(locked, claim));
    }
    Ok(())
}

/// DESTRUCTED or GIVEN: the second class of checks.
#[inline]
pub fn check_live(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    check_there(locked, claim)?;
    if locked.get(claim).given > 0 {
        return Err(given(locked, claim));
    }
    Ok(())
}

#[cold]
fn destructed(locked: &Locked, claim: &'static Claim) -> Refusal {
    let body = locked.get(claim);
    Refusal::By(Holder { status: TN_ERR_DESTRUCTED, subject: body.name, name: body.name, made: body.made, count: 1, why: 0 })
}

#[cold]
fn given(locked: &Locked, claim: &'static Claim) -> Refusal {
    let mut made = Made::default();
    locked.each_promise(claim, |promise| made = locked.get(promise).made);
    let name = locked.get(claim).name;
    Refusal::By(Holder { status: TN_ERR_GIVEN, subject: name, name, made, count: 1, why: 0 })
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
pub fn create(pool: Option<&'static Pool>, layout: Layout, contents: Contents<'_>, name: Name) -> Result<Id> {
    let thread = thread::current();
    let pool = match pool {
        Some(pool) => pool,
        None => pool::current(HOST)?,
    };
    let mut fresh = Fresh::allocate(thread, pool, layout, matches!(contents, Contents::Zero))?;
    if let Contents::Full(value) = contents {
        blit::fill(&fresh.place(), value);
    }
    if !name.is_none() {
        fresh.claim().set_name(name);
    }
    Ok(fresh.finish())
}

/// The host.
pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// A new array with dtype and shape of another one; its contents are undefined.
pub fn like(pool: Option<&'static Pool>, prototype: Id, options: Options) -> Result<Id> {
    let layout = snapshot(prototype)?.like(options.order)?;
    create(pool, layout, Contents::Undefined, options.name)
}

/// A copy of a live handle's layout, taken outside of locks.
pub fn snapshot(id: Id) -> Result<Layout> {
    let mut room = Layout::EMPTY;
    loop {
        let (locked, claim) = ledger::lock::<Claim>(id)?;
        let state = check_live(&locked, claim);
        let layout = &locked.get(claim).layout;
        let ndim = layout.ndim();
        let fits = room.set(layout);
        drop(locked);
        state.map_err(Refusal::say)?;
        if fits {
            return Ok(room);
        }
        room = Layout::room(ndim)?;
    }
}

/// Whether the layout of a view has the same root as the array that it is cut from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// slice, index, transpose, ..: a box of the same root.
    Within,
    /// reshape to another shape, view_dtype: a root of its own.
    Anew,
}

/// A view: another claim on the same store, whose layout `derive` makes from the array's. `ndim` is how many axes the view has: with
/// more than lie inline the work is done outside of the lock, since it needs memory.
#[inline]
pub fn view(id: Id, ndim: usize, cut: Cut, derive: impl Fn(&Layout) -> Result<Layout>) -> Result<Id> {
    let thread = thread::current();
    let mut spare = Spare::take(thread)?;
    let mut root: Option<SpareRoot> = None;
    loop {
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        if let Err(refusal) = check_live(&locked, claim) {
            drop(locked);
            return Err(refusal.say());
        }
        let from = &locked.get(claim).layout;
        let axes = from.ndim();
        if axes.max(ndim) > Layout::INLINE_NDIM {
            drop(locked);
            return view_outside(id, cut, &derive);
        }
        let layout = match derive(from) {
            Ok(layout) => layout,
            Err(status) => {
                drop(locked);
                return Err(status);
            }
        };
        // Same layout, same root: a reshape to the same shape is a clone.
        let keeps = cut == Cut::Within || layout == *from;
        if keeps && !locked.make_root(claim, &mut root) {
            drop(locked);
            root = Some(SpareRoot::take(thread, axes)?);
            continue;
        }
        *spare.layout() = layout;
        return Ok(add_view(&mut locked, claim, keeps, spare));
    }
}

/// A view of many axes: its layout is made from a copy of the array's, and added if the array is still the same.
#[cold]
fn view_outside(id: Id, cut: Cut, derive: &dyn Fn(&Layout) -> Result<Layout>) -> Result<Id> {
    let thread = thread::current();
    loop {
        let from = snapshot(id)?;
        let mut spare = Spare::take(thread)?;
        *spare.layout() = derive(&from)?;
        let keeps = cut == Cut::Within || *spare.layout() == from;
        let mut root = Some(SpareRoot::take(thread, from.ndim())?);
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        if let Err(refusal) = check_live(&locked, claim) {
            drop(locked);
            return Err(refusal.say());
        }
        if locked.get(claim).layout == from && (!keeps || locked.make_root(claim, &mut root)) {
            return Ok(add_view(&mut locked, claim, keeps, spare));
        }
        drop(locked);
    }
}

#[inline]
fn add_view(locked: &mut Locked, claim: &'static Claim, keeps_root: bool, mut spare: Spare) -> Id {
    if keeps_root {
        locked.share_root(claim, &mut spare);
    }
    let made = locked.made();
    let shares_bytes = spare.layout().stretched();
    spare.set_readonly(locked.get(claim).readonly || shares_bytes);
    spare.set_made(made);
    let (ledger, lease) = (locked.ledger_of(claim), locked.lease(claim));
    locked.add_claim(ledger, spare, lease)
}

/// Views of consecutive parts of an axis, all or none; `outs(i, id)` receives them.
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
        return Err(fail(TN_ERR_COUNT, format_args!("{count} views, and room for {capacity}; ask for the number first")));
    }
    let mut made: Vec<Id> = Vec::new();
    made.try_reserve_exact(count).map_err(|_| {
        fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a list of {count} views"))
    })?;
    for (start, length) in cut(whole.shape()[axis]) {
        match view(id, whole.ndim(), Cut::Within, |layout| layout.part(axis, start, length)) {
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

/// Releases a handle of the library's own, also in strict mode.
pub fn release_now(id: Id) -> Result<()> {
    let (mut locked, claim) = ledger::lock::<Claim>(id)?;
    locked.release(claim);
    Ok(())
}

/// Another claim with the same layout and name.
pub fn clone(id: Id) -> Result<Id> {
    let thread = thread::current();
    let mut spare = Spare::take(thread)?;
    loop {
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        let state = check_live(&locked, claim);
        let layout = &locked.get(claim).layout;
        let ndim = layout.ndim();
        if state.is_ok() && spare.layout().set(layout) {
            return Ok(locked.copy_claim(claim, spare));
        }
        drop(locked);
        state.map_err(Refusal::say)?;
        *spare.layout() = Layout::room(ndim)?;
    }
}

/// Ends the claim of a handle; guards, exports and promises keep the bytes. In strict mode they are in the way instead.
#[inline]
pub fn release(id: Id) -> Result<()> {
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
    let mut made = Made::default();
    locked.each_guard(locked.ledger_of(claim), |guard| {
        if core::ptr::eq(locked.get(guard).owner(), claim) {
            made = locked.get(guard).made;
        }
    });
    Err(Refusal::By(Holder { status, subject: body.name, name: body.name, made, count, why: 0 }))
}

/// What an array is; works on live and given handles, and allocates nothing.
pub fn query(id: Id, visit: impl FnOnce(&Locked, &'static Claim, u32)) -> Result<()> {
    with(id, |locked, claim| {
        check_there(locked, claim)?;
        let flags = flags(locked, claim);
        visit(locked, claim, flags);
        Ok(())
    })
}

fn flags(locked: &Locked, claim: &'static Claim) -> u32 {
    let body = locked.get(claim);
    let books = locked.books(locked.ledger_of(claim));
    let layout = &body.layout;
    [
        (TN_C_CONTIGUOUS, layout.is_c()),
        (TN_F_CONTIGUOUS, layout.is_f()),
        (TN_READONLY, body.readonly || books.readonly),
        (TN_ALIGNED, layout.is_aligned()),
        (TN_SELF_OVERLAP, layout.self_overlaps()),
        (TN_FOREIGN, books.foreign()),
    ]
    .into_iter()
    .fold(0, |flags, (flag, on)| if on { flags | flag } else { flags })
}

/// Changes the name; works on live and given handles.
pub fn set_name(id: Id, name: Result<Name>) -> Result<()> {
    with(id, |locked, claim| {
        let name = name?;
        check_there(locked, claim)?;
        locked.get_mut(claim).name = name;
        Ok(())
    })
}

/// The pool that the array's bytes came from, with one more hold, the caller's.
pub fn pool(id: Id) -> Result<&'static Pool> {
    with(id, |locked, claim| {
        check_live(locked, claim)?;
        if let Some(pool) = locked.pool(locked.ledger_of(claim)) {
            pool.hold();
            return Ok(pool);
        }
        let name = locked.get(claim).name;
        let why = if locked.get(claim).layout.is_empty() { "has no elements" } else { "was imported" };
        Err(fail(TN_ERR_FOREIGN, format_args!("{} {why}, so no pool has its bytes", Quoted(&name))).into())
    })
}

/// Waits for unfinished device work: host memory has none.
pub fn wait(id: Id, access: u32) -> Result<()> {
    with(id, |locked, claim| {
        if access == 0 || access & !TN_READ_WRITE != 0 {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("access {access:#x} is none of TN_READ, TN_WRITE and TN_READ_WRITE"),
            )
            .into());
        }
        check_live(locked, claim)?;
        let pending = locked.books(locked.ledger_of(claim)).timeline.is_pending(access & TN_WRITE != 0);
        debug_assert!(!pending, "host memory has no unfinished work");
        Ok(())
    })
}

/// A weak handle: remembers the layout, and makes no claim.
pub fn weaken(id: Id) -> Result<Id> {
    let thread = thread::current();
    let mut spare = SpareWeak::take(thread)?;
    loop {
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        let state = check_live(&locked, claim);
        let layout = &locked.get(claim).layout;
        let ndim = layout.ndim();
        if state.is_ok() && spare.layout().set(layout) {
            return Ok(locked.add_weak(claim, spare));
        }
        drop(locked);
        state.map_err(Refusal::say)?;
        *spare.layout() = Layout::room(ndim)?;
    }
}

/// A new claim with the weak handle's layout, while some claim has been there all the time.
pub fn upgrade(id: Id) -> Result<Id> {
    let thread = thread::current();
    let mut spare = Spare::take(thread)?;
    loop {
        let (mut locked, weak) = ledger::lock::<Weak>(id)?;
        let ndim = locked.weak_layout(weak).ndim();
        if spare.layout().set(locked.weak_layout(weak)) {
            let name = locked.get(weak).name;
            let upgraded = locked.upgrade(weak, spare);
            drop(locked);
            return upgraded.ok_or_else(|| {
                fail(
                    TN_ERR_DESTRUCTED,
                    format_args!("the last claim on the bytes of {} has ended; a weak handle does not keep them", Quoted(&name)),
                )
            });
        }
        drop(locked);
        *spare.layout() = Layout::room(ndim)?;
    }
}

/// Gives a weak handle back.
pub fn release_weak(id: Id) -> Result<()> {
    let (mut locked, weak) = ledger::lock::<Weak>(id)?;
    locked.release_weak(weak);
    Ok(())
}

/// How the bytes of two arrays lie to one another; those of different stores never overlap.
pub fn overlap(a: Id, b: Id) -> Result<region::Overlap> {
    let ids = [a, b];
    let locked = ledger::lock_all(2, &|i| {
        ledger::ledger_of::<Claim>(ids[i]).map_err(|status| about(status, ["a", "b"][i]))
    })?;
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
    outcome.map_err(Refusal::say)
}

/// Of the refusals of several parameters the one that comes first in the order of checks, then by position.
pub fn first_refusal(refusals: impl Iterator<Item = Option<Refusal>>) -> Option<Refusal> {
    let mut first: Option<Refusal> = None;
    for refusal in refusals.flatten() {
        if first.as_ref().is_none_or(|least| crate::error::rank(refusal.code()) < crate::error::rank(least.code())) {
            first = Some(refusal);
        }
    }
    first
}

/// Whether the array is there and has no elements; its state is not looked at.
pub fn is_empty(id: Id) -> bool {
    ledger::lock::<Claim>(id).is_ok_and(|(locked, claim)| locked.get(claim).layout.is_empty())
}
