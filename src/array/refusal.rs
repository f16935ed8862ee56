//! Refusals: why a call failed and which holder is in its way, found under a lock and formatted after unlocking.
//!
//! An error message names call sites, and resolving a site takes another lock. A refusal therefore keeps plain values,
//! and allocates nothing.

use crate::error::{self, Status, fail};
use crate::ledger::{Completion, Guard, Locked, Operation, Origin, TakenBy};
use crate::names::Name;
use crate::slots::{Slot, State};
use crate::thread;
use crate::types::*;
use core::fmt;

/// Why a call under a lock was refused.
pub enum Refusal {
    /// The error message is stored already, for example by a check of another module.
    Reported(Status),
    /// A holder of the bytes is in the way.
    By(Holder),
    /// The handle is destructed.
    Taken {
        /// Name of the array.
        subject: Name,
        /// Where it was taken.
        origin: Origin,
        /// By whom.
        taken_by: TakenBy,
    },
    /// The bytes are the value of a shared variable, which no other handle may write.
    Managed {
        /// TN_ERR_SHARED, or TN_ERR_ALIASED if another variable would share the value.
        status: tn_status,
        /// Name of the array.
        subject: Name,
        /// Name of the variable.
        variable: Name,
        /// Whether the call would succeed with TN_WRITE_COW.
        cow: bool,
    },
    /// Two arrays of one call overlap, and one of them is written.
    Overlap {
        /// Their places among the arrays of the call.
        places: [usize; 2],
        /// Their names.
        names: [Name; 2],
    },
    /// No error: the call has nothing to do.
    Nothing,
}

/// A holder in the way of a call.
pub struct Holder {
    pub(crate) status: tn_status,
    /// Name of the array that the call is about.
    pub(crate) subject: Name,
    /// Name of the holder's array.
    pub(crate) name: Name,
    /// Where the holder was made.
    pub(crate) origin: Origin,
    /// Number of holders of its kind.
    pub(crate) count: u32,
    /// For TN_ERR_WOULD_COPY: TN_WHY_ bits. For TN_ERR_IN_EXPRESSION: number of the operation that waits for the array.
    pub(crate) why: u32,
    /// Whether the call would succeed with TN_WRITE_COW, as far as this holder is concerned.
    pub(crate) cow: bool,
    /// For TN_ERR_EXPORTED: how the export ends.
    pub(crate) export_end: ExportEnd,
}

/// What ends an export.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportEnd {
    /// Its consumer, which has no handle of the library, such as a DLPack tensor.
    #[default]
    Consumer,
    /// `tn_borrow_end`, called by the program or by the view that has the guard.
    Guard,
    /// `tn_borrow_end`, which ends the offer to another process.
    Offer,
}

impl ExportEnd {
    /// What ends the export `guard`.
    pub fn of(locked: &Locked, guard: &'static Guard) -> ExportEnd {
        match guard.head().state() {
            _ if locked.get(guard).completion == Completion::Offer => ExportEnd::Offer,
            State::Live => ExportEnd::Guard,
            _ => ExportEnd::Consumer,
        }
    }
}

/// The result of a check under a lock.
pub type Checked<T> = core::result::Result<T, Refusal>;

impl From<Status> for Refusal {
    fn from(status: Status) -> Refusal {
        Refusal::Reported(status)
    }
}

impl Refusal {
    pub(crate) fn code(&self) -> tn_status {
        match self {
            Refusal::Reported(status) => status.code(),
            Refusal::By(holder) => holder.status,
            Refusal::Taken { .. } => TN_ERR_DESTRUCTED,
            Refusal::Managed { status, .. } => *status,
            Refusal::Overlap { .. } => TN_ERR_ALIASED,
            Refusal::Nothing => TN_OK,
        }
    }

    /// Stores the error message as the thread's, and returns the status. Under no lock.
    #[cold]
    pub(crate) fn into_status(self) -> Status {
        match self {
            Refusal::Reported(status) => status,
            Refusal::By(holder) => holder.into_status(),
            Refusal::Taken { subject, origin, taken_by } => fail(
                TN_ERR_DESTRUCTED,
                format_args!(
                    "{} was given away and taken {} {}; this handle can only be released",
                    Quoted(&subject),
                    match taken_by {
                        TakenBy::Take => "with tn_take",
                        TakenBy::Enter => "with tn_enter",
                        TakenBy::Process => "by another process; it was offered",
                    },
                    Where(origin),
                ),
            ),
            Refusal::Managed { status, subject, variable, cow } => fail(
                status,
                format_args!(
                    "{} is the value of {}, {}{}",
                    Quoted(&subject),
                    Fmt(|f: &mut fmt::Formatter<'_>| match variable.is_none() {
                        true => f.write_str("a shared variable"),
                        false => write!(f, "the shared variable \"{}\"", variable.as_str()),
                    }),
                    match status {
                        TN_ERR_ALIASED => "which another one cannot share; copy it",
                        _ => "which only a function or tn_shared_update may write; write to a copy",
                    },
                    if cow { ", or use TN_WRITE_COW" } else { "" },
                ),
            ),
            Refusal::Overlap { places: [first, second], names: [name, other] } => fail(
                TN_ERR_ALIASED,
                format_args!(
                    "arrays {first}{} and {second}{} of this call overlap, and at least one of them is written; borrow parts that are apart",
                    InBrackets(&name),
                    InBrackets(&other),
                ),
            ),
            Refusal::Nothing => fail(TN_ERR_PANIC, format_args!("a call with nothing to do went on")),
        }
    }
}

/// `"weights"`, or `the array`.
pub struct Quoted<'a>(pub &'a Name);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_none() { f.write_str("the array") } else { write!(f, "\"{}\"", self.0.as_str()) }
    }
}

/// ` ("weights")`, or nothing.
struct InBrackets<'a>(&'a Name);

impl fmt::Display for InBrackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_none() { Ok(()) } else { write!(f, " (\"{}\")", self.0.as_str()) }
    }
}

/// `at step.c:41`, `at step.c:41 by thread 123` if that is another thread than the caller's, or `by thread 123`.
pub struct Where(pub Origin);

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (site, thread) = (self.0.site().name(), self.0.thread);
        match (site.is_none(), thread == thread::current().number()) {
            (true, _) => write!(f, "by thread {thread}"),
            (false, true) => write!(f, "at {}", site.as_str()),
            (false, false) => write!(f, "at {} by thread {thread}", site.as_str()),
        }
    }
}

impl Holder {
    /// A holder of which only the status and the array of the call are known.
    pub(crate) fn of(status: tn_status, subject: Name) -> Holder {
        let (origin, export_end) = (Origin::default(), ExportEnd::default());
        Holder { status, subject, name: Name::NONE, origin, count: 1, why: 0, cow: false, export_end }
    }

    fn into_status(self) -> Status {
        let subject = Quoted(&self.subject);
        let at = Where(self.origin);
        let through = if self.name.is_none() || self.name == self.subject { Name::NONE } else { self.name };
        let other = |f: &mut fmt::Formatter<'_>| {
            if through.is_none() { Ok(()) } else { write!(f, ", through \"{}\"", through.as_str()) }
        };
        let other = Fmt(other);
        let times = Fmt(|f: &mut fmt::Formatter<'_>| match self.count {
            1 => write!(f, "({at}{other})"),
            count => write!(f, "{count} times (first {at}{other})"),
        });
        let those_borrows = if self.count == 1 { "that borrow" } else { "those borrows" };
        let or_cow = if self.cow { ", or use TN_WRITE_COW" } else { "" };
        match self.status {
            TN_ERR_GIVEN => fail(
                TN_ERR_GIVEN,
                format_args!(
                    "{subject} was given away {at}; cancel its promise{} to use it again",
                    if self.count == 1 { "" } else { "s" }
                ),
            ),
            TN_ERR_POISONED => fail(
                TN_ERR_POISONED,
                format_args!(
                    "{subject} was left undefined by a writer that failed (its guard was taken {at}{other}); rewrite all that it wrote by one write with TN_WRITE_DISCARD, or accept it with tn_array_heal"
                ),
            ),
            TN_ERR_READONLY => fail(TN_ERR_READONLY, format_args!("{subject} is read-only; write to a copy{or_cow}")),
            TN_ERR_BORROWED_WRITE => fail(
                TN_ERR_BORROWED_WRITE,
                format_args!("{subject} is borrowed for writing {times}; end {those_borrows}"),
            ),
            TN_ERR_BORROWED => fail(
                TN_ERR_BORROWED,
                format_args!("{subject} is borrowed for reading {times}; end {those_borrows}{or_cow}"),
            ),
            TN_ERR_EXPORTED => {
                let (what, cure) = match self.export_end {
                    ExportEnd::Consumer => ("exported", "drop the consumer's view"),
                    ExportEnd::Guard => ("exported", "drop the consumer's view, or end its guard with tn_borrow_end"),
                    ExportEnd::Offer => ("offered to another process", "end the offer with tn_borrow_end"),
                };
                // A copy on write would part the handle from the bytes that are offered.
                let or_cow = if self.export_end == ExportEnd::Offer { "" } else { or_cow };
                fail(TN_ERR_EXPORTED, format_args!("{subject} is {what} {times}; {cure}{or_cow}"))
            }
            TN_ERR_SHARED => fail(
                TN_ERR_SHARED,
                format_args!(
                    "{subject} shares its bytes with {} other handle(s) or promise(s) (one made {at}{other}); release them{or_cow}",
                    self.count
                ),
            ),
            TN_ERR_IN_EXPRESSION => fail(
                TN_ERR_IN_EXPRESSION,
                format_args!(
                    "{subject} is held by a lazy expression ({}, made {at}); compute or release it{or_cow}",
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
            TN_ERR_PENDING => fail(
                TN_ERR_PENDING,
                format_args!(
                    "work of a device on {subject} is not finished (its guard was taken {at}{other}); synchronize its stream, or wait with TN_WAIT or tn_array_wait"
                ),
            ),
            TN_ERR_FOREIGN => fail(
                TN_ERR_FOREIGN,
                format_args!(
                    "{subject} is lent memory, which its owner may still use; import it with TN_MAY_OVERWRITE{or_cow}"
                ),
            ),
            status => fail(status, format_args!("{subject} is not available: held {at}{other}")),
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
        if first { f.write_str("requested") } else { Ok(()) }
    }
}

/// The operation that waits for an expression.
struct Waits(u32);

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Operation::ALL.get(self.0 as usize) {
            None | Some(Operation::Leaf) => f.write_str("a leaf that nothing uses yet"),
            Some(operation) => write!(f, "waiting for {}", operation.name()),
        }
    }
}

/// A closure as a Display: formats without a buffer.
struct Fmt<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Fmt<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// The refusal of several parameters that is reported: the first in the order of checks, then by position.
pub fn first_refusal(refusals: impl Iterator<Item = Option<Refusal>>) -> Option<Refusal> {
    let mut first: Option<Refusal> = None;
    for refusal in refusals.flatten() {
        if first.as_ref().is_none_or(|least| error::rank(refusal.code()) < error::rank(least.code())) {
            first = Some(refusal);
        }
    }
    first
}
