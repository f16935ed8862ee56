//! The calls that model and library have in common, with their arguments and results.
//!
//! Contract: plain data. A [`Call`] names handles by the model's numbers and memory by the model's addresses, so one
//! value means the same on both sides, and a printed trace is readable.

use super::handle::Ref;
use super::layout::Layout;
use super::rules::{Faults, Status};
use super::views::View;
use tenure::types::{TN_ERR_DTYPE, TN_ERR_SHAPE};

/// The source of a new array's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// tn_array_empty; the test writes a pattern at once.
    Empty,
    Zeros,
    /// tn_array_full with one element of a pattern.
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parts {
    Split(i64),
    Chunks(i64),
}

/// The function that builds an operation of an expression.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Build {
    Add,
    Subtract,
    Multiply,
    Cholesky,
    Lu,
    Solve,
    Scale(f64),
    Transpose,
    Dense,
    Sum(i32),
    /// TN_EXPR_
    Elementwise(u32),
}

#[derive(Clone, Debug)]
pub enum Call {
    Make {
        pool: Ref,
        dtype: u32,
        shape: Vec<i64>,
        order: u32,
        contents: Contents,
    },
    /// `ptr` 0 is NULL; strides None: C order.
    Import {
        ptr: i64,
        offset: i64,
        dtype: u32,
        shape: Vec<i64>,
        strides: Option<Vec<i64>>,
        flags: u32,
        callback: bool,
    },
    View {
        array: Ref,
        view: View,
    },
    /// `capacity` None: only the count is requested.
    Parts {
        array: Ref,
        axis: i32,
        parts: Parts,
        capacity: Option<usize>,
    },
    Clone {
        array: Ref,
    },
    SetForm {
        array: Ref,
        form: u32,
    },
    Copy {
        array: Ref,
        pool: Ref,
    },
    Release {
        array: Ref,
    },
    Weaken {
        array: Ref,
    },
    Upgrade {
        weak: Ref,
    },
    WeakRelease {
        weak: Ref,
    },
    BorrowRead {
        array: Ref,
        flags: u32,
    },
    BorrowWrite {
        array: Ref,
        mode: u32,
    },
    /// (array, access) each.
    BorrowAll {
        entries: Vec<(Ref, u32)>,
    },
    SplitWrite {
        array: Ref,
        axis: i32,
        n: usize,
        mode: u32,
    },
    End {
        guard: Ref,
        flags: u32,
    },
    /// `value` false: NULL.
    Fill {
        array: Ref,
        value: bool,
        mode: u32,
    },
    Zero {
        array: Ref,
        mode: u32,
    },
    CopyInto {
        source: Ref,
        destination: Ref,
        mode: u32,
    },
    /// `host` None: C order at the start of the scratch memory.
    CopyToHost {
        array: Ref,
        host: Option<Layout>,
    },
    CopyFromHost {
        array: Ref,
        host: Option<Layout>,
        mode: u32,
    },
    Give {
        array: Ref,
        required: u32,
    },
    Cancel {
        promise: Ref,
    },
    PromiseRelease {
        promise: Ref,
    },
    Take {
        promises: Vec<Ref>,
    },
    /// Arrays and promises.
    Enter {
        params: Vec<Ref>,
    },
    Leave {
        scope: Ref,
        keep: Vec<Ref>,
    },
    Leaf {
        array: Ref,
        form: u32,
    },
    /// `y` is passed if the function takes two operands.
    Build {
        what: Build,
        x: Ref,
        y: Ref,
    },
    Compute {
        expr: Ref,
        flags: u32,
    },
    ExprRelease {
        expr: Ref,
    },
    Export {
        array: Ref,
        flags: u32,
        mode: u32,
    },
    Query {
        array: Ref,
    },
    IsUnique {
        array: Ref,
    },
    WhyNot {
        array: Ref,
        target: Option<Target>,
    },
    Overlap {
        a: Ref,
        b: Ref,
    },
    HoldersOf {
        at: i64,
        bytes: i64,
    },
    SharedCreate {
        value: Ref,
        flags: u32,
        pool: Ref,
    },
    SharedGet {
        shared: Ref,
        flags: u32,
    },
    SharedSet {
        shared: Ref,
        value: Ref,
        flags: u32,
    },
    /// The calls that follow are its callback, up to a Return.
    SharedUpdate {
        shared: Ref,
        flags: u32,
    },
    /// A callback returns. Outside of one it is nothing.
    Return {
        status: u32,
    },
    UpdateBegin {
        shared: Ref,
        flags: u32,
    },
    UpdateEnd {
        shared: Ref,
        flags: u32,
    },
    SharedRelease {
        shared: Ref,
    },
    FunctionCreate {
        inputs: Vec<Input>,
        outputs: Vec<Output>,
        updates: Vec<(Ref, u32)>,
    },
    /// The calls that follow are its body, up to a Return.
    RunFunction {
        function: Ref,
        arguments: Vec<Ref>,
        n_out: usize,
    },
    FunctionRelease {
        function: Ref,
    },
    /// The body leaves an array in a place: the outputs, and then the updates. Outside of a body it is nothing.
    Place {
        place: usize,
        array: Ref,
    },
    /// The calls that follow are made by the kernel, up to a Return.
    Launch {
        arguments: Vec<Argument>,
        grid: [u32; 3],
        block_bytes: i64,
    },
    RunReleases,
    Forbid {
        on: i32,
    },
    /// The holder of a guard or export writes its region.
    WriteThrough {
        guard: usize,
    },
    /// The owner of imported memory writes it.
    WriteForeign {
        at: i64,
        bytes: i64,
    },
}

/// tn_arg of a kernel of the host.
#[derive(Clone, Debug)]
pub enum Argument {
    /// `ndim` None: TN_ARG_POINTER.
    Array { array: Ref, access: u32, ndim: Option<i32> },
    /// A value of this many bytes.
    Value { bytes: usize },
}

/// tn_in, on the host. dtype 0 and ndim -1: any.
#[derive(Clone, Debug)]
pub struct Input {
    pub flags: u32,
    pub dtype: u32,
    pub ndim: i32,
    pub default: Ref,
    pub shared: Ref,
}

impl Input {
    /// TN_ERR_DTYPE, TN_ERR_SHAPE.
    pub fn check(&self, layout: &Layout) -> Result<(), Status> {
        check_declared(self.dtype, self.ndim, layout)
    }
}

/// tn_out, on the host.
#[derive(Clone, Debug)]
pub struct Output {
    pub flags: u32,
    pub dtype: u32,
    pub ndim: i32,
}

impl Output {
    pub fn check(&self, layout: &Layout) -> Result<(), Status> {
        check_declared(self.dtype, self.ndim, layout)
    }
}

fn check_declared(dtype: u32, ndim: i32, layout: &Layout) -> Result<(), Status> {
    let mut faults = Faults::default();
    faults.when(dtype != 0 && dtype != layout.dtype, TN_ERR_DTYPE);
    faults.when(ndim >= 0 && ndim as usize != layout.shape.len(), TN_ERR_SHAPE);
    faults.none()
}

/// tn_target, on the host.
#[derive(Clone, Debug)]
pub struct Target {
    pub dtype: u32,
    pub shape: Vec<i64>,
    pub device: (u32, i32),
}

/// Further parameters of a call.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Beside {
    /// NULL for the last output that must not be NULL; calls without one ignore it.
    pub no_out: bool,
    /// Calls without a stream ignore it.
    pub stream: Stream,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Stream {
    #[default]
    Null,
    Legacy,
    PerThread,
    Current,
    /// Neither NULL nor a constant nor a stream handle.
    Junk,
}

/// A forced or requested copy in the copy book.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Crossing {
    pub function: &'static str,
    pub why: u32,
    pub forced: bool,
    pub bytes: i64,
}

/// The bits of a `tn_holder` that the model predicts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Holder {
    pub kind: u32,
    pub who: Ref,
}

/// The outputs of a call that succeeded.
#[derive(Default, Clone, Debug)]
pub struct Done {
    /// New handles, in the order of the outputs.
    pub arrays: Vec<usize>,
    pub weak: Option<usize>,
    pub promise: Option<usize>,
    pub scope: Option<usize>,
    pub expr: Option<usize>,
    pub shared: Option<usize>,
    pub function: Option<usize>,
    pub guards: Vec<usize>,
    /// One per guard entry: the expected data pointer and view.
    pub views: Vec<Layout>,
    /// start and length of each chunk.
    pub chunks: Vec<(i64, i64)>,
    pub how: Option<u32>,
    /// The crossings that a call on variables reports: how and why.
    pub crossed: Vec<(u32, u32)>,
    /// The number that a query returns: a count, a truth value, bits.
    pub number: Option<i64>,
    pub holders: Option<Vec<Holder>>,
    /// Elements that the test itself writes now, as the user of fresh bytes would; the model has them already.
    pub pokes: Vec<Layout>,
    pub copies: Vec<Crossing>,
}
