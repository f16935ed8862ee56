//! The classes of guards and exports, and the parameters of a new one.

/// What a guard is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// R
    Read,
    /// W
    Write,
    /// XR
    ExportRead,
    /// XS
    ExportShared,
    /// XW
    ExportExclusive,
    /// What a failed writer left.
    Poison,
    /// Device work that reads.
    WorkRead,
    /// Device work that writes.
    WorkWrite,
    /// No region: ties the guards of one borrow_all, or the chunks of one chunks_write, together.
    Group,
}

impl Class {
    /// Whether it is an export.
    pub(crate) fn is_export(self) -> bool {
        matches!(self, Class::ExportRead | Class::ExportShared | Class::ExportExclusive)
    }

    /// Whether it is what an ended guard left.
    pub(crate) fn is_record(self) -> bool {
        matches!(self, Class::Poison | Class::WorkRead | Class::WorkWrite)
    }
}

/// What a new guard is like.
#[derive(Clone, Copy)]
pub struct GuardParams {
    /// Its class.
    pub(crate) class: Class,
    /// See [`GuardBody::frozen`].
    pub(crate) frozen: bool,
    /// See [`GuardBody::discard`].
    pub(crate) discard: bool,
    /// When it was made; 0: not kept.
    pub(crate) time_ns: u64,
}
