//! Written by `cargo xtask header` from abi/api.json: edit src/types.rs.

/// The statuses of the library but TN_OK.
pub const Error = error{
    /// An argument that must not be NULL is NULL.
    Null,
    /// The handle was released, or the block was freed.
    Stale,
    /// The argument is a handle of another kind, or no handle.
    Kind,
    /// The handle's claim was moved away by a take; the handle can only be released.
    Destructed,
    /// The handle was given away, and its promise is outstanding.
    Given,
    /// A failed writer left the bytes undefined.
    Poisoned,
    /// The handle or its memory must not be written.
    Readonly,
    /// An open write guard overlaps the bytes.
    BorrowedWrite,
    /// An open read guard overlaps the bytes.
    Borrowed,
    /// An export of the bytes is alive.
    Exported,
    /// Other handles have claims on the store.
    Shared,
    /// A lazy expression holds the store; the message names its operation.
    InExpression,
    /// Device work on the bytes is not finished.
    Pending,
    /// The bytes are lent to the library, or belong to no pool or another pool.
    Foreign,
    /// A list has too few or too many items.
    Count,
    /// An item is in a list twice.
    Duplicate,
    /// An index, axis, address or id is out of range.
    Range,
    /// An argument is invalid by itself: flags, modes, struct sizes, counts, a step of 0.
    Invalid,
    /// The element type is unknown, or does not fit the operation.
    DType,
    /// The shape is invalid, or does not fit the operation.
    Shape,
    /// The operation is impossible with this layout, or possible only with a copy.
    Layout,
    /// The device does not exist, or differs from the one that the operation needs.
    Device,
    /// The caller required an alias, and only a copy is possible.
    WouldCopy,
    /// Two operands overlap that must not.
    Aliased,
    /// The operation or a callback of the caller failed.
    Failed,
    /// The host is out of memory.
    NoHostMemory,
    /// The device is out of memory.
    NoDeviceMemory,
    /// The pool would exceed its max_size.
    PoolLimit,
    /// Not supported here; the message says what is missing.
    Unsupported,
    /// The device's driver reported an error.
    Driver,
    /// A file could not be opened, read or written, or is damaged.
    IO,
    /// A table of the library is full, or a limit of a file format or of the caller is exceeded.
    Limit,
    /// A bug in the library was caught; please report the message.
    Panic,
    /// A size does not fit into 64 bits, or there are more than TN_MAX_NDIM axes.
    Overflow,
    /// A status that a newer library has.
    Unknown,
};

/// The error of a status other than TN_OK.
pub fn errorOf(status: u32) Error {
    return switch (status) {
        1 => error.Null,
        2 => error.Stale,
        3 => error.Kind,
        4 => error.Destructed,
        5 => error.Given,
        6 => error.Poisoned,
        7 => error.Readonly,
        8 => error.BorrowedWrite,
        9 => error.Borrowed,
        10 => error.Exported,
        11 => error.Shared,
        12 => error.InExpression,
        13 => error.Pending,
        14 => error.Foreign,
        15 => error.Count,
        16 => error.Duplicate,
        17 => error.Range,
        18 => error.Invalid,
        19 => error.DType,
        20 => error.Shape,
        21 => error.Layout,
        22 => error.Device,
        23 => error.WouldCopy,
        24 => error.Aliased,
        25 => error.Failed,
        26 => error.NoHostMemory,
        27 => error.NoDeviceMemory,
        28 => error.PoolLimit,
        29 => error.Unsupported,
        30 => error.Driver,
        31 => error.IO,
        32 => error.Limit,
        33 => error.Panic,
        34 => error.Overflow,
        else => error.Unknown,
    };
}

/// The status of an error.
pub fn statusOf(err: Error) u32 {
    return switch (err) {
        error.Null => 1,
        error.Stale => 2,
        error.Kind => 3,
        error.Destructed => 4,
        error.Given => 5,
        error.Poisoned => 6,
        error.Readonly => 7,
        error.BorrowedWrite => 8,
        error.Borrowed => 9,
        error.Exported => 10,
        error.Shared => 11,
        error.InExpression => 12,
        error.Pending => 13,
        error.Foreign => 14,
        error.Count => 15,
        error.Duplicate => 16,
        error.Range => 17,
        error.Invalid => 18,
        error.DType => 19,
        error.Shape => 20,
        error.Layout => 21,
        error.Device => 22,
        error.WouldCopy => 23,
        error.Aliased => 24,
        error.Failed => 25,
        error.NoHostMemory => 26,
        error.NoDeviceMemory => 27,
        error.PoolLimit => 28,
        error.Unsupported => 29,
        error.Driver => 30,
        error.IO => 31,
        error.Limit => 32,
        error.Panic => 33,
        error.Overflow => 34,
        error.Unknown => 0xffffffff,
    };
}
