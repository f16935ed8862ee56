//! The mirror behind a handle: what stays the same, and its sides.
//!
//! Contract: the lock is held for a few instructions, and no call into the ledger is made under it. Only the call that
//! has the turn changes the contents, so it may read them, work, and write them. The last reference releases the arrays
//! of both sides.

use super::side::Side;
use super::turn::{Turn, Turns};
use crate::counted::{self, Last, Object, Ref};
use crate::error::{Result, Status, fail};
use crate::layout::Order;
use crate::ledger::{self, Claim, Guard};
use crate::names::Name;
use crate::pool::Pool;
use crate::slots::{Id, Kind};
use crate::stream::Point;
use crate::thread::QuickLock;
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

/// A mirror.
pub struct Mirror {
    fixed: Fixed,
    turns: Turns,
    contents: QuickLock<Contents>,
}

struct Contents {
    sides: Sides,
    /// The writing borrow, which has a reference.
    writer: Option<(Writer, MirrorRef)>,
}

impl Object for Mirror {
    const KIND: Kind = Kind::Mirror;
    type Beside = ();
    fn end(mirror: Last<Mirror>) {
        let sides = mirror.contents.lock().sides;
        for side in Side::BOTH {
            sides.array(side).into_iter().for_each(end_side);
        }
        mirror.fixed.pools.iter().flatten().for_each(|pool| pool.drop_ref());
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
    counted::release::<Mirror>(id)
}

/// A reference on a mirror.
pub type MirrorRef = Ref<Mirror>;

/// A new mirror. TN_ERR_STALE if a pool is retired.
pub fn create(fixed: Fixed) -> Result<MirrorRef> {
    keep_pools(fixed.pools)?;
    let none = SideArray { array: Id::NONE, version: 0 };
    let sides = Sides { arrays: [none; 2], valid: 0, transfers: Default::default() };
    let contents = QuickLock::new(Contents { sides, writer: None });
    Ref::create(Mirror { fixed, turns: Turns::new(), contents })
        .inspect_err(|_| fixed.pools.iter().flatten().for_each(|pool| pool.drop_ref()))
}

/// The mirror of which a guard is the writing borrow. `mirror`: the bits that its handle had, because it may be
/// released. None: the guard has ended meanwhile.
pub fn of_writer(mirror: Id, guard: &'static Guard) -> Option<MirrorRef> {
    MirrorRef::guess(mirror).filter(|mirror| mirror.writer().is_some_and(|writer| core::ptr::eq(writer.guard, guard)))
}

impl Mirror {
    /// What stays the same.
    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// Waits until no other call works on the mirror. TN_ERR_BORROWED_WRITE in a callback of such a call.
    pub fn turn(&self) -> Result<Turn<'_>> {
        self.turns.wait().ok_or_else(|| {
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
        self.contents.lock().sides
    }

    /// Changes the sides. The caller has the turn.
    pub fn change<R>(&self, change: impl FnOnce(&mut Sides) -> R) -> R {
        change(&mut self.contents.lock().sides)
    }

    /// The writing borrow in progress.
    pub fn writer(&self) -> Option<Writer> {
        self.contents.lock().writer.as_ref().map(|(writer, _)| *writer)
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

impl MirrorRef {
    /// Begins a writing borrow, which has a reference on the mirror.
    pub fn begin_writer(&self, writer: Writer) {
        let before = self.contents.lock().writer.replace((writer, self.clone()));
        debug_assert!(before.is_none(), "one writer at a time");
    }

    /// Ends the writing borrow.
    pub fn end_writer(&self) {
        let ended = self.contents.lock().writer.take();
        drop(ended);
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
