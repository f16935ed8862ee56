//! The classes of guards and exports, and the parameters of a new one.

/// The class of a guard or record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// An open read guard.
    Read,
    /// An open write guard.
    Write,
    /// A read-only export.
    ExportRead,
    /// A shared view.
    ExportShared,
    /// An exclusive export.
    ExportExclusive,
    /// Record of a region that a failed writer left undefined.
    Poison,
    /// Record of unfinished device work that reads.
    WorkRead,
    /// Record of unfinished device work that writes.
    WorkWrite,
    /// Without a region: the head of a borrow_all, or the group of the chunks of one split_write.
    Group,
}

impl Class {
    pub(crate) fn is_export(self) -> bool {
        matches!(self, Class::ExportRead | Class::ExportShared | Class::ExportExclusive)
    }

    /// Whether the consumer of such an export may write the bytes.
    pub(super) fn is_writable_export(self) -> bool {
        matches!(self, Class::ExportShared | Class::ExportExclusive)
    }

    /// Whether it is the class of a record, which an ended guard left.
    pub(crate) fn is_record(self) -> bool {
        matches!(self, Class::Poison | Class::WorkRead | Class::WorkWrite)
    }
}

/// Who completes the end of a guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completion {
    /// The ledger alone.
    Ledger,
    /// The ledger, which also changes what the processor allows.
    Access,
    /// The ledger, which has told the event log of its begin.
    Logged,
    /// The mirror that has the guard as a writer.
    Mirror,
    /// The offer of the array to another process.
    Offer,
    /// The lock that excludes guards of other processes.
    InterprocessLock,
}

/// The parameters of a new guard.
#[derive(Clone, Copy)]
pub struct GuardParams {
    pub(crate) class: Class,
    /// See [`GuardBody::frozen`].
    pub(crate) frozen: bool,
    /// See [`GuardBody::discard`].
    pub(crate) discard: bool,
    /// Time since the epoch; 0: not recorded.
    pub(crate) time_ns: u64,
}
