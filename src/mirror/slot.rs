//! The mirror behind a handle: what stays the same, its sides, and the count of references.
//!
//! Contract: the lock is held for a few instructions, and no call into the ledger is made under it. Only the call that
//! has the turn changes the contents, so it may read them, work, and write them. The last reference releases the arrays
//! of both sides.

use super::side::Side;
use super::turn::{Turn, Turns};
use crate::error::{Result, Status, fail};
use crate::layout::Order;
use crate::ledger::{self, Claim, Guard};
use crate::names::Name;
use crate::pool::Pool;
use crate::slots::{self, Head, Id, Kind, Slot, State, Table};
use crate::stream::Point;
use crate::thread::{self, QuickLock};
use crate::types::*;

/// What stays the same during the life of a mirror.
#[derive(Clone, Copy)]
pub struct Fixed {
    /// The GPU of the device side.
    pub device: tn_device,
    /// The order of sides that the mirror allocates.
    pub order: Order,
    /// The pools of the sides; None: the thread's current one. The mirror has references on them.
    pub pools: [Option<&'static Pool>; 2],
    /// It has no elements.
    pub is_empty: bool,
    /// The name.
    pub name: Name,
}

/// A side's array.
#[derive(Clone, Copy)]
pub struct SideArray {
    /// The mirror's own handle; none if the side is not allocated.
    pub array: Id,
    /// The version of its store that the mirror knows.
    pub version: u64,
}

/// The transfers to one side.
#[derive(Clone, Copy, Default)]
pub struct Transfers {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The sides and what is known about them.
#[derive(Clone, Copy)]
pub struct Sides {
    /// By [`Side::index`].
    pub arrays: [SideArray; 2],
    /// The bits of the sides with the present contents; never 0.
    pub valid: u32,
    /// By [`Side::index`] of the side that was written.
    pub transfers: [Transfers; 2],
}

impl Sides {
    /// The array of a side; None: it is not allocated.
    pub fn array(&self, side: Side) -> Option<Id> {
        Some(self.arrays[side.index()].array).filter(|array| *array != Id::NONE)
    }

    /// Whether a side has the present contents.
    pub fn is_valid(&self, side: Side) -> bool {
        self.valid & side.bit() != 0
    }
}

/// A writing borrow in progress.
#[derive(Clone, Copy)]
pub struct Writer {
    /// The caller's guard.
    pub guard: &'static Guard,
    /// The side that it writes.
    pub side: Side,
    /// The mirror's own guard on the other side, if that is allocated.
    pub companion: Option<&'static Guard>,
    /// A transfer at its beginning made the side valid.
    pub moved: bool,
    /// Until then that transfer goes on.
    pub transfer: Option<Point>,
}

/// A slot; its contents are None while it has no mirror.
struct MirrorSlot {
    head: Head,
    turns: Turns,
    contents: QuickLock<Option<Contents>>,
}

struct Contents {
    fixed: Fixed,
    sides: Sides,
    writer: Option<Writer>,
    /// The handle, the writing borrow, and each [`MirrorRef`].
    refs: u32,
}

impl Slot for MirrorSlot {
    const KIND: Kind = Kind::Mirror;
    fn new(head: Head) -> MirrorSlot {
        MirrorSlot { head, turns: Turns::new(), contents: QuickLock::new(None) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl MirrorSlot {
    /// Runs `work` on the contents, under the lock. The caller has a reference.
    fn with<R>(&self, work: impl FnOnce(&mut Contents) -> R) -> R {
        work(self.contents.lock().as_mut().expect("a referenced mirror has contents"))
    }

    /// Drops a reference. The last one ends the mirror, under no lock.
    fn drop_ref(&'static self) {
        let mut inside = self.contents.lock();
        let contents = inside.as_mut().expect("a referenced mirror has contents");
        contents.refs -= 1;
        let ended = if contents.refs == 0 { inside.take() } else { None };
        drop(inside);
        if let Some(ended) = ended {
            for side in Side::BOTH {
                ended.sides.array(side).into_iter().for_each(end_side);
            }
            ended.fixed.pools.iter().flatten().for_each(|pool| pool.drop_ref());
            Table::free(thread::current(), self);
        }
    }
}

/// Makes an array, whose handle only the library knows, that of a side.
pub fn begin_side(array: Id, mirror: &MirrorRef) {
    if let Ok((mut locked, claim)) = ledger::lock::<Claim>(array) {
        locked.begin_side(claim, mirror.id(), mirror.fixed.name);
    }
}

/// Releases the array of a side.
pub fn end_side(array: Id) {
    if let Ok((mut locked, claim)) = ledger::lock::<Claim>(array) {
        locked.end_side(claim);
        locked.release(claim);
    }
}

/// Adds references on pools: TN_ERR_STALE if one is retired.
fn keep_pools([first, second]: [Option<&'static Pool>; 2]) -> Result<()> {
    first.map_or(Ok(()), Pool::keep)?;
    second.map_or(Ok(()), Pool::keep).inspect_err(|_| first.into_iter().for_each(Pool::drop_ref))
}

/// Ends the caller's handle. TN_ERR_STALE, TN_ERR_KIND.
pub fn release(id: Id) -> Result<()> {
    let slot = Table::<MirrorSlot>::find(id)?;
    let inside = slot.contents.lock();
    let is_open = inside.is_some() && slot.head.is(id);
    if is_open {
        slot.head.make_stale(State::Kept);
    }
    drop(inside);
    if !is_open {
        return Err(slots::stale(id, Kind::Mirror));
    }
    slot.drop_ref();
    Ok(())
}

/// A reference on a mirror.
pub struct MirrorRef {
    slot: &'static MirrorSlot,
    fixed: Fixed,
}

impl MirrorRef {
    /// A new mirror. [`MirrorRef::publish`] gives it a handle. TN_ERR_STALE if a pool is retired.
    pub fn create(fixed: Fixed) -> Result<MirrorRef> {
        let thread = thread::current();
        let slot: &'static MirrorSlot = Table::take(thread)?;
        if let Err(status) = keep_pools(fixed.pools) {
            Table::free(thread, slot);
            return Err(status);
        }
        slot.head.set_state(State::Kept);
        let none = SideArray { array: Id::NONE, version: 0 };
        let sides = Sides { arrays: [none; 2], valid: 0, transfers: Default::default() };
        *slot.contents.lock() = Some(Contents { fixed, sides, writer: None, refs: 1 });
        Ok(MirrorRef { slot, fixed })
    }

    /// The mirror of a handle. TN_ERR_STALE, TN_ERR_KIND.
    pub fn find(id: Id) -> Result<MirrorRef> {
        let slot = Table::<MirrorSlot>::find(id)?;
        let mut inside = slot.contents.lock();
        let Some(contents) = inside.as_mut().filter(|_| slot.head.is(id)) else {
            drop(inside);
            return Err(slots::stale(id, Kind::Mirror));
        };
        contents.refs += 1;
        let fixed = contents.fixed;
        drop(inside);
        Ok(MirrorRef { slot, fixed })
    }

    /// The mirror of which a guard is the writing borrow. `mirror`: the bits that its handle had, because it may be
    /// released. None: the guard has ended meanwhile.
    pub fn of_writer(mirror: Id, guard: &'static Guard) -> Option<MirrorRef> {
        let slot = Table::<MirrorSlot>::guess(mirror)?;
        let mut inside = slot.contents.lock();
        let contents =
            inside.as_mut().filter(|contents| contents.writer.is_some_and(|w| core::ptr::eq(w.guard, guard)))?;
        contents.refs += 1;
        let fixed = contents.fixed;
        drop(inside);
        Some(MirrorRef { slot, fixed })
    }

    /// Another reference.
    pub fn another(&self) -> MirrorRef {
        self.slot.with(|contents| contents.refs += 1);
        MirrorRef { slot: self.slot, fixed: self.fixed }
    }

    /// Gives a new mirror its handle, which the caller owns.
    pub fn publish(&self) -> Id {
        self.slot.with(|contents| contents.refs += 1);
        Table::publish(self.slot)
    }

    /// The bits of its handle.
    pub fn id(&self) -> Id {
        self.slot.id()
    }

    /// Whether the handle was released.
    pub fn is_released(&self) -> bool {
        self.slot.head.state() != State::Live
    }

    /// What stays the same.
    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// Waits until no other call works on the mirror. TN_ERR_BORROWED_WRITE in a callback of such a call.
    pub fn turn(&self) -> Result<Turn<'_>> {
        self.slot.turns.wait().ok_or_else(|| {
            fail(
                TN_ERR_BORROWED_WRITE,
                format_args!(
                    "this is a callback of another call on {}; use the mirror after that call",
                    Named(&self.fixed)
                ),
            )
        })
    }

    /// The sides now.
    pub fn sides(&self) -> Sides {
        self.slot.with(|contents| contents.sides)
    }

    /// Changes the sides. The caller has the turn.
    pub fn change<R>(&self, change: impl FnOnce(&mut Sides) -> R) -> R {
        self.slot.with(|contents| change(&mut contents.sides))
    }

    /// The writing borrow in progress.
    pub fn writer(&self) -> Option<Writer> {
        self.slot.with(|contents| contents.writer)
    }

    /// Begins a writing borrow, which has a reference on the mirror.
    pub fn begin_writer(&self, writer: Writer) {
        self.slot.with(|contents| {
            debug_assert!(contents.writer.is_none(), "one writer at a time");
            contents.writer = Some(writer);
            contents.refs += 1;
        });
    }

    /// Ends the writing borrow.
    pub fn end_writer(&self) {
        self.slot.with(|contents| contents.writer = None);
        self.slot.drop_ref();
    }

    /// TN_ERR_POISONED: a writer failed, and no side has the contents of before.
    #[cold]
    pub fn poisoned(&self) -> Status {
        fail(
            TN_ERR_POISONED,
            format_args!(
                "{} was left undefined by a write that failed; acquire it with TN_WRITE alone, or mark a side as changed",
                Named(&self.fixed)
            ),
        )
    }

    /// TN_ERR_ALIASED: both sides were written through other handles.
    #[cold]
    pub fn both_changed(&self) -> Status {
        fail(
            TN_ERR_ALIASED,
            format_args!(
                "both sides of {} were written since the last call on it; say with tn_mirror_mark_changed which one counts",
                Named(&self.fixed)
            ),
        )
    }
}

impl Drop for MirrorRef {
    fn drop(&mut self) {
        self.slot.drop_ref();
    }
}

/// `the mirror "x"`, or `the mirror`.
pub struct Named<'a>(pub &'a Fixed);

impl core::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the mirror")?;
        if self.0.name.is_none() { Ok(()) } else { write!(f, " \"{}\"", self.0.name.as_str()) }
    }
}
