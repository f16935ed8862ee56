//! Random calls of the C functions by a few threads, with handles that the others release, give, take or end meanwhile.
//! Whatever a call finds, it returns a status of its documentation: never TN_ERR_PANIC. At the end everything can be
//! released, and no byte is left.
//!
//! TENURE_STRESS_SECONDS (2) sets how long the threads run, TENURE_STRESS_SEED the draws. The draws of one seed are
//! equal in each run, the interleaving of the threads is not.

use crate::support;
use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::bodies;
use support::capi::{self, HOST, Handle, name, stats, text};
use support::random::Random;
use tenure::ffi::{
    array, arrow, borrow, exchange, expr, function, ipc, launch, library, mirror, module, pool, promise, report,
    shared, transfer, view,
};
use tenure::types::*;
use tenure_harness::test;

const THREADS: usize = 4;
const CELLS: usize = 8;

/// The kinds of handles, each with a table that all threads share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Array,
    Promise,
    Weak,
    Guard,
    Scope,
    Expr,
    Variable,
    Function,
    Mirror,
    Module,
    Pool,
    /// A block of a pool, by its address.
    Block,
}

const KINDS: [Kind; 12] = [
    Kind::Array,
    Kind::Promise,
    Kind::Weak,
    Kind::Guard,
    Kind::Scope,
    Kind::Expr,
    Kind::Variable,
    Kind::Function,
    Kind::Mirror,
    Kind::Module,
    Kind::Pool,
    Kind::Block,
];

struct Shared {
    tables: [[AtomicUsize; CELLS]; KINDS.len()],
    over: AtomicBool,
    /// How often each function was called, and how often it succeeded.
    calls: Vec<[AtomicU64; 2]>,
}

impl Shared {
    fn any(&self, random: &mut Random, kind: Kind) -> Handle {
        // Sometimes a handle of another kind.
        let kind = if random.chance(8) { KINDS[random.below(KINDS.len() - 1)] } else { kind };
        self.tables[kind as usize][Shared::cell(random)].load(Ordering::Relaxed)
    }

    /// Shares a new handle, and releases the one whose place it takes.
    fn put(&self, random: &mut Random, kind: Kind, made: Handle) {
        let old = self.tables[kind as usize][Shared::cell(random)].swap(made, Ordering::Relaxed);
        release(kind, old);
    }

    /// The first place is used most, so that threads often meet at one handle.
    fn cell(random: &mut Random) -> usize {
        if random.chance(40) { 0 } else { random.below(CELLS) }
    }
}

/// Releases a handle, which may be gone.
fn release(kind: Kind, handle: Handle) -> tn_status {
    if handle == 0 {
        return TN_OK;
    }
    // SAFETY: no handle is kept; the outputs are ours.
    let status = unsafe {
        match kind {
            Kind::Array => array::tn_array_release(handle as *mut _),
            Kind::Promise => promise::tn_promise_release(handle as *mut _),
            Kind::Weak => array::tn_weak_release(handle as *mut _),
            Kind::Guard => borrow::tn_borrow_end(handle as *mut _, 0, null_mut()),
            Kind::Scope => promise::tn_leave(handle as *mut _, 0, null()),
            Kind::Expr => expr::tn_expr_release(handle as *mut _),
            Kind::Variable => shared::tn_shared_release(handle as *mut _),
            Kind::Function => function::tn_function_release(handle as *mut _),
            Kind::Mirror => mirror::tn_mirror_release(handle as *mut _),
            Kind::Module => module::tn_module_release(handle as *mut _),
            Kind::Pool => pool::tn_pool_release(handle as *mut _),
            Kind::Block => pool::tn_pool_deallocate(null_mut(), handle as *mut _, null_mut()),
        }
    };
    checked("release", status)
}

fn checked(function: &str, status: tn_status) -> tn_status {
    assert!(status != TN_ERR_PANIC, "{function}: {}", text());
    assert!(status == TN_OK || !text().is_empty(), "{function}: {}", name(status));
    status
}

/// A thread's view: the shared handles, its draws, and room for outputs.
struct Caller<'a> {
    shared: &'a Shared,
    random: Random,
    out: *mut c_void,
}

impl Caller<'_> {
    fn any<T>(&mut self, kind: Kind) -> *mut T {
        self.shared.any(&mut self.random, kind) as *mut T
    }
    fn array(&mut self) -> *mut tn_array {
        self.any(Kind::Array)
    }
    fn expr(&mut self) -> *mut tn_expr {
        self.any(Kind::Expr)
    }
    fn pool(&mut self) -> *mut tn_pool {
        if self.random.chance(50) { null_mut() } else { self.any(Kind::Pool) }
    }
    fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.random.below(list.len())]
    }
    fn out<T>(&mut self) -> *mut *mut T {
        self.out = null_mut();
        (&raw mut self.out).cast()
    }
    fn variable(&mut self) -> *mut tn_shared {
        self.any(Kind::Variable)
    }
    /// Creates a function with random flags, defaults and variables. Its body is one of `support/bodies`.
    fn function(&mut self) -> tn_status {
        let inputs = [0; 2].map(|_| tn_in {
            size: size_of::<tn_in>(),
            flags: self.one(&[0, TN_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP]),
            ndim: -1,
            default_value: if self.random.chance(30) { self.array() } else { null_mut() },
            ..zero()
        });
        let implicit = tn_in { size: size_of::<tn_in>(), ndim: -1, shared: self.variable(), ..zero() };
        let outputs = [0; 2].map(|_| {
            let flags = self.one(&[0, TN_BORROW, TN_REUSE, TN_BORROW | TN_REUSE]);
            tn_out { size: size_of::<tn_out>(), flags, ndim: -1, ..zero() }
        });
        let updates = [0; 2].map(|_| {
            let flags = self.one(&[0, TN_MAY_OVERWRITE, TN_REUSE]);
            tn_update { size: size_of::<tn_update>(), target: self.variable(), flags, reserved: 0 }
        });
        let inputs = if self.random.chance(30) { vec![inputs[0], implicit] } else { inputs.to_vec() };
        let (n_in, n_out, n_update) = (self.one(&[0, 1, 2, 2, 2]), self.random.below(3), self.random.below(3));
        let out = self.out();
        // SAFETY: a writable output; no names.
        let status =
            unsafe { bodies::create(&mut self.random, &inputs[..n_in], &outputs[..n_out], &updates[..n_update], out) };
        self.keep(Kind::Function, status)
    }
    fn mode(&mut self) -> u32 {
        let mode = self.one(&[0, 0, TN_WRITE_UNIQUE, TN_WRITE_COW]);
        mode | self.one(&[0, 0, TN_WRITE_DISCARD])
    }
    /// Shares the handle that a call has made.
    fn keep(&mut self, kind: Kind, status: tn_status) -> tn_status {
        if status == TN_OK {
            self.shared.put(&mut self.random, kind, self.out as usize);
        }
        status
    }
    fn keep_all<T>(&mut self, kind: Kind, status: tn_status, made: &[*mut T]) -> tn_status {
        if status == TN_OK {
            made.iter().for_each(|made| self.shared.put(&mut self.random, kind, *made as usize));
        }
        status
    }
}

type Call = unsafe fn(&mut Caller) -> tn_status;

unsafe extern "C" fn forget(_: *mut c_void) {}

unsafe extern "C" fn no_kernel(_: *const tn_host_block, _: *const *mut c_void) {}

unsafe extern "C" fn no_pressure(_: *mut c_void, _: usize, _: tn_pressure) -> usize {
    0
}

/// Plain data of which zero is a value.
fn zero<T>() -> T {
    // SAFETY: used for C structs and numbers only.
    unsafe { std::mem::zeroed() }
}

macro_rules! calls {
    ($($name:ident: |$caller:ident| $call:expr;)*) => {
        // SAFETY: the pointers are ours; handles may be anything. Some calls are safe.
        &[$((stringify!($name), #[allow(unused_unsafe)] |$caller| unsafe { $call })),*]
    };
}

/// As much PTX as an image needs.
const PTX: &str = ".version 8.0";

/// The calls, by the name of the function. A name may be there more than once.
#[rustfmt::skip] // one line for each call
const CALLS: &[(&str, Call)] = calls! {
    tn_array_zeros: |c| { let (pool, out) = (c.pool(), c.out()); let status = array::tn_array_zeros(pool, TN_F64, 2, [4, 4].as_ptr(), null(), out); c.keep(Kind::Array, status) };
    tn_array_empty: |c| { let (pool, out) = (c.pool(), c.out()); let status = array::tn_array_empty(pool, TN_F64, 1, [4].as_ptr(), null(), out); c.keep(Kind::Array, status) };
    tn_array_full: |c| { let (pool, out) = (c.pool(), c.out()); let status = array::tn_array_full(pool, TN_F64, 2, [4, 4].as_ptr(), (&raw const TWO).cast(), null(), out); c.keep(Kind::Array, status) };
    tn_array_like: |c| { let (pool, a, out) = (c.pool(), c.array(), c.out()); let status = array::tn_array_like(a, pool, null(), out); c.keep(Kind::Array, status) };
    tn_array_query: |c| { let mut info = tn_array_info { size: size_of::<tn_array_info>(), ..zero() }; array::tn_array_query(c.array(), &mut info) };
    tn_array_set_name: |c| array::tn_array_set_name(c.array(), c"shared by all".as_ptr());
    tn_array_pool: |c| { let (a, out) = (c.array(), c.out()); let status = array::tn_array_pool(a, out); c.keep(Kind::Pool, status) };
    tn_array_wait: |c| array::tn_array_wait(c.array(), TN_READ_WRITE);
    tn_array_clone: |c| { let (a, out) = (c.array(), c.out()); let status = array::tn_array_clone(a, out); c.keep(Kind::Array, status) };
    tn_array_copy: |c| { let (a, pool, out) = (c.array(), c.pool(), c.out()); let status = array::tn_array_copy(a, pool, null_mut(), out); c.keep(Kind::Array, status) };
    tn_array_release: |c| release(Kind::Array, c.array() as usize);
    tn_array_weaken: |c| { let (a, out) = (c.array(), c.out()); let status = array::tn_array_weaken(a, out); c.keep(Kind::Weak, status) };
    tn_weak_upgrade: |c| { let (weak, out) = (c.any(Kind::Weak), c.out()); let status = array::tn_weak_upgrade(weak, out); c.keep(Kind::Array, status) };
    tn_weak_release: |c| release(Kind::Weak, c.any::<()>(Kind::Weak) as usize);
    tn_array_heal: |c| borrow::tn_array_heal(c.array());
    tn_array_import_host: |c| { let flags = c.one(&[TN_BORROW, TN_TAKE_OWNERSHIP, TN_TAKE_OWNERSHIP | TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED, 0]); let layout = layout(&[4, 4]); let out = c.out(); let bytes = BYTES[c.random.below(BYTES.len())].0.get(); let status = array::tn_array_import_host(bytes.cast(), &layout, flags, Some(forget), null_mut(), out, null_mut()); c.keep(Kind::Array, status) };
    tn_run_releases: |c| { let _ = &c; let mut n = 0; library::tn_run_releases(&mut n) };

    tn_array_reshape: |c| { let shape: &[i64] = c.one(&[&[16][..], &[2, 8], &[4], &[2, 2], &[-1]]); let (a, out) = (c.array(), c.out()); let status = view::tn_array_reshape(a, shape.len() as i32, shape.as_ptr(), TN_ORDER_C, out); c.keep(Kind::Array, status) };
    tn_array_ravel: |c| { let (a, out) = (c.array(), c.out()); let status = view::tn_array_ravel(a, TN_ORDER_C, out); c.keep(Kind::Array, status) };
    tn_array_transpose: |c| { let (a, out) = (c.array(), c.out()); let status = view::tn_array_transpose(a, out); c.keep(Kind::Array, status) };
    tn_array_permute: |c| { let (a, out) = (c.array(), c.out()); let status = view::tn_array_permute(a, 2, [1, 0].as_ptr(), out); c.keep(Kind::Array, status) };
    tn_array_slice: |c| { let specs = [0; 2].map(|_| tn_slice_spec { start: c.random.below(4) as i64, stop: 4, step: c.one(&[1, 1, 2, -1]), reserved: [0; 4] }); let (a, out) = (c.array(), c.out()); let status = view::tn_array_slice(a, c.one(&[1, 2]), specs.as_ptr(), out); c.keep(Kind::Array, status) };
    tn_array_index: |c| { let (a, index, out) = (c.array(), c.random.below(4) as i64, c.out()); let status = view::tn_array_index(a, 0, index, out); c.keep(Kind::Array, status) };
    tn_array_squeeze: |c| { let (a, out) = (c.array(), c.out()); let status = view::tn_array_squeeze(a, 0, null(), out); c.keep(Kind::Array, status) };
    tn_array_expand: |c| { let (a, out) = (c.array(), c.out()); let status = view::tn_array_expand(a, 0, out); c.keep(Kind::Array, status) };
    tn_array_broadcast: |c| { let (a, out) = (c.array(), c.out()); let status = view::tn_array_broadcast(a, 3, [2, 4, 4].as_ptr(), out); c.keep(Kind::Array, status) };
    tn_array_split: |c| { let mut outs = [null_mut(); 2]; let mut n = 0; let status = view::tn_array_split(c.array(), 0, 2, 2, outs.as_mut_ptr(), &mut n); c.keep_all(Kind::Array, status, &outs) };
    tn_array_chunks: |c| { let mut outs = [null_mut(); 4]; let mut n = 0; let status = view::tn_array_chunks(c.array(), 0, 1 + c.random.below(3) as i64, 4, outs.as_mut_ptr(), &mut n); c.keep_all(Kind::Array, status, &outs[..n.min(4)]) };
    tn_array_view_dtype: |c| { let (a, dtype, out) = (c.array(), c.one(&[TN_I64, TN_F64, TN_F32]), c.out()); let status = view::tn_array_view_dtype(a, dtype, out); c.keep(Kind::Array, status) };
    tn_array_overlap: |c| { let mut overlap = 0; view::tn_array_overlap(c.array(), c.array(), &mut overlap) };

    tn_array_borrow_read: |c| { let (a, flags, out) = (c.array(), c.one(&[0, TN_FROZEN, TN_WAIT]), c.out()); let mut info = tn_view_info { ..zero() }; let status = borrow::tn_array_borrow_read(a, flags, null_mut(), null_mut(), &mut info, out); c.keep(Kind::Guard, status) };
    tn_array_borrow_write: |c| { let (a, mode, out) = (c.array(), c.mode(), c.out()); let status = borrow::tn_array_borrow_write(a, mode, null_mut(), null_mut(), null_mut(), out); c.keep(Kind::Guard, status) };
    tn_borrow_all: |c| { let specs = [0; 3].map(|_| tn_borrow_spec { array: c.array(), access: c.one(&[TN_READ, TN_READ_WRITE, TN_WRITE, TN_READ_WRITE | TN_WRITE_COW]), ..zero() }); let out = c.out(); let status = borrow::tn_borrow_all(1 + c.random.below(3), specs.as_ptr(), null_mut(), out); c.keep(Kind::Guard, status) };
    tn_array_split_write: |c| { let mut chunks: [tn_part; 3] = zero(); let mode = c.mode(); let status = borrow::tn_array_split_write(c.array(), 0, 3, mode, null_mut(), chunks.as_mut_ptr()); c.keep_all(Kind::Guard, status, &chunks.map(|chunk| chunk.guard)) };
    tn_borrow_end: |c| release(Kind::Guard, c.any::<()>(Kind::Guard) as usize);
    tn_borrow_end: |c| borrow::tn_borrow_end(c.any(Kind::Guard), TN_END_FAILED, null_mut());
    tn_borrow_query: |c| { let mut info = tn_borrow_info { size: size_of::<tn_borrow_info>(), ..zero() }; borrow::tn_borrow_query(c.any(Kind::Guard), &mut info) };
    tn_borrow_kernel_view: |c| { let (mut view, ndim) = ([0u64; 17], c.random.below(4) as i32); borrow::tn_borrow_kernel_view(c.any(Kind::Guard), ndim, 8 + 16 * ndim.max(1) as usize, view.as_mut_ptr().cast()) };

    tn_array_give: |c| { let (a, required, out) = (c.array(), c.one(&[1, 1, 2]), c.out()); let status = promise::tn_array_give(a, required, out); c.keep(Kind::Promise, status) };
    tn_take: |c| { let promises = [0; 3].map(|_| c.any(Kind::Promise)); let mut outs = [null_mut(); 3]; let n = 1 + c.random.below(3); let status = promise::tn_take(n, promises.as_ptr(), outs.as_mut_ptr()); c.keep_all(Kind::Array, status, &outs[..n]) };
    tn_promise_cancel: |c| promise::tn_promise_cancel(c.any(Kind::Promise));
    tn_promise_release: |c| release(Kind::Promise, c.any::<()>(Kind::Promise) as usize);
    tn_enter: |c| { let kinds = [0; 3].map(|_| c.one(&[Kind::Array, Kind::Promise])); let params = kinds.map(|kind| c.any::<c_void>(kind)); let mut outs = [null_mut(); 3]; let (n, out) = (1 + c.random.below(3), c.out()); let status = promise::tn_enter(n, params.as_ptr(), outs.as_mut_ptr(), out); c.keep(Kind::Scope, status); c.keep_all(Kind::Array, status, &outs[..n]) };
    tn_leave: |c| release(Kind::Scope, c.any::<()>(Kind::Scope) as usize);
    tn_leave: |c| { let keep = [c.array(), c.array()]; promise::tn_leave(c.any(Kind::Scope), 1 + c.random.below(2), keep.as_ptr()) };
    tn_array_is_unique: |c| { let mut unique = 0; promise::tn_array_is_unique(c.array(), &mut unique) };
    tn_array_why_not: |c| { let (mut bits, mut n, mut holders) = (0, 0, [zero::<tn_holder>(); 4]); let target = tn_target { dtype: TN_F64, ndim: 2, ..zero() }; let target = if c.random.chance(50) { null() } else { &raw const target }; promise::tn_array_why_not(c.array(), target, size_of::<tn_holder>(), 4, &mut bits, holders.as_mut_ptr(), &mut n) };

    tn_array_copy_into: |c| { let mode = c.mode(); transfer::tn_array_copy_into(c.array(), c.array(), mode, null_mut()) };
    tn_array_to_device: |c| { let (a, pool, out) = (c.array(), c.pool(), c.out()); let status = transfer::tn_array_to_device(a, HOST, pool, null_mut(), out); c.keep(Kind::Array, status) };
    tn_array_copy_to_host: |c| { let a = c.array(); match room(a) { Ok(mut to) => transfer::tn_array_copy_to_host(a, to.as_mut_ptr().cast(), null(), null_mut()), Err(status) => status } };
    tn_array_copy_from_host: |c| { let (a, mode) = (c.array(), c.mode()); match room(a) { Ok(from) => transfer::tn_array_copy_from_host(a, from.as_ptr().cast(), null(), mode, null_mut()), Err(status) => status } };
    tn_array_fill: |c| { let mode = c.mode(); transfer::tn_array_fill(c.array(), (&raw const TWO).cast(), mode, null_mut()) };
    tn_array_clear: |c| { let mode = c.mode(); transfer::tn_array_clear(c.array(), mode, null_mut()) };
    tn_array_export_host: |c| { let (a, flags, mode, out) = (c.array(), c.one(&[TN_BORROW, TN_BORROW | TN_EXPORT_WRITABLE, TN_BORROW | TN_EXPORT_WRITABLE | TN_EXPORT_EXCLUSIVE]), c.one(&[0, TN_WRITE_UNIQUE]), c.out()); let mut info: tn_view_info = zero(); let status = exchange::tn_array_export_host(a, flags, mode, null_mut(), &mut info, out, null_mut()); c.keep(Kind::Guard, status) };
    tn_array_export_dlpack: |c| { let flags = c.one(&[TN_BORROW, TN_BORROW | TN_EXPORT_WRITABLE]); match capi::export_dlpack(c.array() as usize, flags) { Ok(tensor) if c.random.chance(50) => { capi::delete_dlpack(tensor); TN_OK } Ok(tensor) => match capi::import_dlpack(tensor, TN_BORROW) { Ok(made) => { c.shared.put(&mut c.random, Kind::Array, made); TN_OK } Err(status) => { capi::delete_dlpack(tensor); status } }, Err(status) => status } };
    tn_array_export_arrow: |c| { let _ = arrow::tn_array_export_arrow; match capi::export_arrow(c.array() as usize, TN_BORROW) { Ok(mut exported) => match capi::import_arrow(&mut exported, TN_BORROW) { Ok(made) => { c.shared.put(&mut c.random, Kind::Array, made); TN_OK } Err(status) => status }, Err(status) => status } };
    tn_array_export_ipc: |c| { let _ = ipc::tn_array_export_ipc; let (flags, again) = (c.one(&[0, TN_BORROW, TN_IPC_WRITABLE, TN_IPC_GIVE]), c.one(&[0, 0, TN_IPC_WRITABLE, TN_IPC_GIVE])); match capi::export_ipc(c.array() as usize, flags).and_then(|sent| capi::import_ipc(sent, again)) { Ok(made) => { c.shared.put(&mut c.random, Kind::Array, made); TN_OK } Err(status) => status } };

    tn_expr_leaf: |c| { let (a, form, out) = (c.array(), c.one(&[TN_FORM_FULL, TN_FORM_FULL, TN_FORM_DIAGONAL, TN_FORM_LOWER]), c.out()); let status = expr::tn_expr_leaf(a, form, out); c.keep(Kind::Expr, status) };
    tn_expr_add: |c| { let (x, y, out) = (c.expr(), c.expr(), c.out()); let status = expr::tn_expr_add(x, y, out); c.keep(Kind::Expr, status) };
    tn_expr_subtract: |c| { let (x, y, out) = (c.expr(), c.expr(), c.out()); let status = expr::tn_expr_subtract(x, y, out); c.keep(Kind::Expr, status) };
    tn_expr_multiply: |c| { let (x, y, out) = (c.expr(), c.expr(), c.out()); let status = expr::tn_expr_multiply(x, y, out); c.keep(Kind::Expr, status) };
    tn_expr_cholesky: |c| { let (x, out) = (c.expr(), c.out()); let status = expr::tn_expr_cholesky(x, out); c.keep(Kind::Expr, status) };
    tn_expr_lu: |c| { let (x, out) = (c.expr(), c.out()); let status = expr::tn_expr_lu(x, out); c.keep(Kind::Expr, status) };
    tn_expr_lu_part: |c| { let (x, part, out) = (c.expr(), c.random.below(3) as u32, c.out()); let status = expr::tn_expr_lu_part(x, part, out); c.keep(Kind::Expr, status) };
    tn_expr_solve: |c| { let (x, y, out) = (c.expr(), c.expr(), c.out()); let status = expr::tn_expr_solve(x, y, out); c.keep(Kind::Expr, status) };
    tn_expr_scale: |c| { let (x, out) = (c.expr(), c.out()); let status = expr::tn_expr_scale(x, 0.5, out); c.keep(Kind::Expr, status) };
    tn_expr_transpose: |c| { let (x, out) = (c.expr(), c.out()); let status = expr::tn_expr_transpose(x, out); c.keep(Kind::Expr, status) };
    tn_expr_elementwise: |c| { let (x, y, out) = (c.expr(), c.expr(), c.out()); let status = expr::tn_expr_elementwise(1 + c.random.below(20) as u32, x, y, out); c.keep(Kind::Expr, status) };
    tn_expr_elementwise: |c| { let (x, out) = (c.expr(), c.out()); let status = expr::tn_expr_elementwise(1 + c.random.below(20) as u32, x, null_mut(), out); c.keep(Kind::Expr, status) };
    tn_expr_sum: |c| { let (x, out) = (c.expr(), c.out()); let status = expr::tn_expr_sum(x, 0, out); c.keep(Kind::Expr, status) };
    tn_expr_compute: |c| { let (x, flags, out) = (c.expr(), c.one(&[0, 0, TN_KEEP_ON_FAIL]), c.out()); let status = expr::tn_expr_compute(x, flags, out); c.keep(Kind::Array, status) };
    tn_expr_explain: |c| { let mut text = [0; 512]; let mut length = 0; let format = c.one(&[TN_EXPLAIN_TEXT, TN_EXPLAIN_DOT]); expr::tn_expr_explain(c.expr(), format, 512, text.as_mut_ptr(), &mut length) };
    tn_expr_release: |c| release(Kind::Expr, c.expr() as usize);

    tn_shared_create: |c| { let (a, flags, out) = (c.array(), c.one(&[0, TN_BORROW, TN_TAKE_OWNERSHIP]), c.out()); let status = shared::tn_shared_create(a, flags, null(), out, null_mut()); c.keep(Kind::Variable, status) };
    tn_shared_get: |c| { let (v, flags, out) = (c.variable(), c.one(&[0, TN_BORROW, TN_RAW, TN_RAW | TN_BORROW]), c.out()); let status = shared::tn_shared_get(v, flags, out, null_mut()); c.keep(Kind::Array, status) };
    tn_shared_set: |c| { let (v, a, flags) = (c.variable(), c.array(), c.one(&[0, TN_BORROW, TN_TAKE_OWNERSHIP])); shared::tn_shared_set(v, a, flags, null_mut()) };
    tn_shared_update: |c| { let (v, flags, mut random) = (c.variable(), c.one(&[0, TN_MAY_OVERWRITE]), Random::new(c.random.next())); shared::tn_shared_update(v, flags, Some(bodies::change), (&raw mut random).cast(), null_mut()) };
    tn_shared_update_begin: |c| { let (v, flags, out) = (c.variable(), c.one(&[0, TN_MAY_OVERWRITE]), c.out()); let status = shared::tn_shared_update_begin(v, flags, out, null_mut()); c.keep(Kind::Array, status) };
    tn_shared_update_end: |c| { let (v, flags) = (c.variable(), c.one(&[0, TN_END_FAILED])); shared::tn_shared_update_end(v, flags) };
    tn_shared_update_end: |c| shared::tn_shared_update_end(c.variable(), 0);
    tn_shared_query: |c| { let mut info = tn_shared_info { size: size_of::<tn_shared_info>(), ..zero() }; shared::tn_shared_query(c.variable(), &mut info) };
    tn_shared_release: |c| release(Kind::Variable, c.variable() as usize);

    tn_function_create: |c| c.function();
    tn_function_call: |c| { let arguments = [c.array(), c.array()]; let (mut outs, n_in, n_out) = ([null_mut(); 2], c.one(&[0, 1, 2, 2, 2]), c.random.below(3)); let status = function::tn_function_call(c.any(Kind::Function), n_in, arguments.as_ptr(), n_out, outs.as_mut_ptr(), null_mut(), null_mut()); c.keep_all(Kind::Array, status, &outs[..n_out]) };
    tn_function_call: |c| { let (arguments, mut outs) = ([c.array(), c.array()], [null_mut(); 2]); let n_in = c.one(&[0, 1, 2, 2, 2]); let status = function::tn_function_call(c.any(Kind::Function), n_in, arguments.as_ptr(), 0, outs.as_mut_ptr(), null_mut(), null_mut()); checked("tn_function_call", status) };
    tn_function_call_crossings: |c| { let (arguments, mut outs) = ([c.array(), c.array()], [null_mut(); 2]); let (n_in, n_out) = (c.one(&[0, 1, 2, 2, 2]), c.random.below(3)); let told = tn_call_crossings { size: size_of::<tn_call_crossings>(), ..zero() }; let status = function::tn_function_call_crossings(c.any(Kind::Function), n_in, arguments.as_ptr(), n_out, outs.as_mut_ptr(), &told); c.keep_all(Kind::Array, status, &outs[..n_out]) };
    tn_function_default: |c| { let (f, index, out) = (c.any(Kind::Function), c.random.below(3), c.out()); let status = function::tn_function_default(f, index, out); c.keep(Kind::Array, status) };
    tn_function_release: |c| release(Kind::Function, c.any::<()>(Kind::Function) as usize);

    tn_mirror_create: |c| { let options = tn_mirror_options { size: size_of::<tn_mirror_options>(), object: c.array(), borrow_flags: c.one(&[0, TN_BORROW, TN_REQUIRE_BORROW]), ..zero() }; let out = c.out(); let status = mirror::tn_mirror_create(&options, out, null_mut()); c.keep(Kind::Mirror, status) };
    tn_mirror_acquire: |c| { let (m, access, out) = (c.any(Kind::Mirror), c.one(&[TN_READ, TN_READ, TN_READ_WRITE, TN_WRITE]), c.out()); let status = mirror::tn_mirror_acquire(m, TN_SIDE_HOST, access, null_mut(), null_mut(), null_mut(), out); c.keep(Kind::Guard, status) };
    tn_mirror_get: |c| { let (m, out) = (c.any(Kind::Mirror), c.out()); let status = mirror::tn_mirror_get(m, TN_SIDE_HOST, out); c.keep(Kind::Array, status) };
    tn_mirror_mark_changed: |c| mirror::tn_mirror_mark_changed(c.any(Kind::Mirror), TN_SIDE_HOST);
    tn_mirror_query: |c| { let mut info = tn_mirror_info { size: size_of::<tn_mirror_info>(), ..zero() }; mirror::tn_mirror_query(c.any(Kind::Mirror), &mut info) };
    tn_mirror_release: |c| if c.random.chance(20) { release(Kind::Mirror, c.any::<()>(Kind::Mirror) as usize) } else { TN_OK };

    tn_module_load: |c| { let out = c.out(); let status = module::tn_module_load(PTX.as_ptr().cast(), c.one(&[PTX.len(), PTX.len(), 3]), null(), out); c.keep(Kind::Module, status) };
    tn_module_function: |c| { let (m, mut out) = (c.any(Kind::Module), null_mut()); match module::tn_module_function(m, c"f".as_ptr(), tn_device { r#type: TN_CUDA, id: 0 }, &mut out) { TN_ERR_UNSUPPORTED | TN_ERR_INVALID => TN_OK, status => status } };
    tn_module_release: |c| release(Kind::Module, c.any::<()>(Kind::Module) as usize);

    tn_launch: |c| { let mut args = [0; 3].map(|_| tn_arg { kind: c.one(&[TN_ARG_ARRAY, TN_ARG_ARRAY, TN_ARG_POINTER]), access: c.one(&[TN_READ, TN_READ, TN_WRITE, TN_READ_WRITE, TN_READ_WRITE | TN_WRITE_COW, TN_READ | TN_ALLOW_ALIAS]), ndim: c.one(&[1, 2, 2]), what: c.array().cast(), ..zero() }); args[2] = tn_arg { kind: TN_ARG_VALUE, what: (&raw const TWO).cast(), bytes: 8, ..zero() }; let config = tn_launch_config { size: size_of::<tn_launch_config>(), grid: [2, 1, 1], block: [1; 3], block_bytes: c.one(&[0, 100]), host_function: Some(no_kernel), ..zero() }; launch::tn_launch(&config, c.one(&[1, 2, 3]), args.as_ptr()) };

    tn_pool_create: |c| { let mut options: tn_pool_options = zero(); options.size = size_of::<tn_pool_options>(); options.max_size = if c.random.chance(50) { 1 << 20 } else { 0 }; let out = c.out(); let status = pool::tn_pool_create(HOST, &options, out); c.keep(Kind::Pool, status) };
    tn_pool_release: |c| if c.random.chance(10) { release(Kind::Pool, c.any::<()>(Kind::Pool) as usize) } else { TN_OK };
    tn_pool_allocate: |c| { let (pool, bytes, out) = (c.pool(), 1 + c.random.below(5000), c.out()); let status = pool::tn_pool_allocate(pool, bytes, c.one(&[0, 64, 4096]), null_mut(), out); c.keep(Kind::Block, status) };
    tn_pool_allocate_zeroed: |c| { let (pool, out) = (c.pool(), c.out()); let status = pool::tn_pool_allocate_zeroed(pool, 200, 0, null_mut(), out); c.keep(Kind::Block, status) };
    tn_pool_deallocate: |c| { let (pool, at) = (c.pool(), c.any(Kind::Block)); pool::tn_pool_deallocate(pool, at, null_mut()) };
    tn_pool_of: |c| { let (at, out) = (c.any(Kind::Block), c.out()); let status = pool::tn_pool_of(at, out); c.keep(Kind::Pool, status) };
    tn_pool_usable_size: |c| { let mut bytes = 0; pool::tn_pool_usable_size(c.any(Kind::Block), &mut bytes) };
    tn_pool_query: |c| { let mut stats = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..zero() }; pool::tn_pool_query(c.any(Kind::Pool), &mut stats) };
    tn_pool_reset_peak: |c| pool::tn_pool_reset_peak(c.any(Kind::Pool));
    tn_pool_trim: |c| { let mut bytes = 0; pool::tn_pool_trim(c.any(Kind::Pool), 0, &mut bytes) };
    tn_pool_query_classes: |c| { let (mut n, mut items) = (0, [zero::<tn_pool_class_stats>(); 4]); pool::tn_pool_query_classes(c.any(Kind::Pool), size_of::<tn_pool_class_stats>(), 4, items.as_mut_ptr(), &mut n) };
    tn_pool_query_clients: |c| { let (mut n, mut items) = (0, [zero::<tn_pool_client>(); 4]); pool::tn_pool_query_clients(c.any(Kind::Pool), size_of::<tn_pool_client>(), 4, items.as_mut_ptr(), &mut n) };
    tn_pool_on_pressure: |c| pool::tn_pool_on_pressure(c.any(Kind::Pool), Some(no_pressure), null_mut(), None);
    tn_pool_off_pressure: |c| pool::tn_pool_off_pressure(c.any(Kind::Pool), Some(no_pressure), null_mut());
    tn_pool_set_current: |c| pool::tn_pool_set_current(c.pool());
    tn_pool_current: |c| { let out = c.out(); let status = pool::tn_pool_current(HOST, out); c.keep(Kind::Pool, status) };
    tn_pool_default: |c| { let out = c.out(); let status = pool::tn_pool_default(HOST, out); c.keep(Kind::Pool, status) };

    tn_holders_of: |c| { let (mut n, mut items) = (0, [zero::<tn_holder>(); 4]); promise::tn_holders_of(c.any::<c_void>(Kind::Block), 8, size_of::<tn_holder>(), 4, null_mut(), items.as_mut_ptr(), &mut n) };
    tn_leaks: |c| { let _ = &c; let (mut n, mut items) = (0, [zero::<tn_holder>(); 8]); report::tn_leaks(size_of::<tn_holder>(), 8, items.as_mut_ptr(), &mut n) };
    tn_report_json: |c| { let _ = &c; let mut length = 0; report::tn_report_json(0, 0, null_mut(), &mut length) };
    tn_report_html_text: |c| { let _ = &c; let mut length = 0; report::tn_report_html_text(0, 0, null_mut(), &mut length) };
    tn_copies_query: |c| { let _ = &c; let mut n = 0; report::tn_copies_query(size_of::<tn_copy_site>(), 0, null_mut(), &mut n) };
    tn_here: |c| { let file = CString::new(format!("file{}.c", c.random.below(50))).unwrap(); library::tn_here(file.as_ptr(), c.random.below(50) as i32) };
};

/// Calls that look at everything there is. They are made rarely, since most races are elsewhere.
const SLOW: [&str; 6] =
    ["tn_leaks", "tn_report_json", "tn_report_html_text", "tn_pool_query_classes", "tn_pool_trim", "tn_copies_query"];

/// Memory for the elements of an array, which keeps its size until its handle ends. A matrix made of a diagonal has
/// many elements.
fn room(array: *mut tn_array) -> Result<Vec<f64>, tn_status> {
    let bytes = capi::try_info(array as usize)?.bytes as usize;
    Ok(vec![1.0; bytes.div_ceil(size_of::<f64>())])
}

static TWO: f64 = 2.0;

/// Bytes that imports lend: all threads may write them through the library.
struct Lent(std::cell::UnsafeCell<[f64; 16]>);

// SAFETY: only the library touches the bytes, under its guards.
unsafe impl Sync for Lent {}

static BYTES: [Lent; 4] = [const { Lent(std::cell::UnsafeCell::new([0.0; 16])) }; 4];

fn layout(shape: &[i64]) -> tn_layout {
    let mut layout: tn_layout = zero();
    layout.size = size_of::<tn_layout>();
    layout.dtype = TN_F64;
    layout.ndim = shape.len() as i32;
    layout.shape = shape.as_ptr();
    layout
}

fn work(shared: &Shared, seed: u64, only: &[&str]) {
    let mut caller = Caller { shared, random: Random::new(seed), out: null_mut() };
    let drawn: Vec<usize> = (0..CALLS.len()).filter(|at| is_drawn(CALLS[*at].0, only)).collect();
    while !shared.over.load(Ordering::Relaxed) {
        let at = caller.one(&drawn);
        let (function, call) = CALLS[at];
        if SLOW.contains(&function) && !caller.random.chance(3) {
            continue;
        }
        // SAFETY: see `calls`.
        let status = checked(function, unsafe { call(&mut caller) });
        shared.calls[at][0].fetch_add(1, Ordering::Relaxed);
        shared.calls[at][1].fetch_add(u64::from(status == TN_OK), Ordering::Relaxed);
    }
    assert_eq!(pool::tn_pool_set_current(null_mut()), TN_OK);
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Whether the function has one of these prefixes.
fn is_drawn(function: &str, only: &[&str]) -> bool {
    only.iter().any(|prefix| function.starts_with(prefix))
}

/// The tests count the leaks of the process.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn no_call_panics_whatever_other_threads_do_with_its_handles() {
    stress(&["tn_"]);
}

/// Few functions, so that the threads meet at one expression often. Values of 2 everywhere are not positive definite,
/// so evaluations fail.
#[test]
fn expressions_survive_failed_evaluations_of_other_threads() {
    stress(&["tn_expr", "tn_array_full", "tn_array_zeros", "tn_array_release"]);
}

/// Draws among the functions with these prefixes.
fn stress(only: &[&str]) {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let seed = number("TENURE_STRESS_SEED", std::process::id().into());
    println!("TENURE_STRESS_SEED={seed}");
    let shared = Shared {
        tables: [const { [const { AtomicUsize::new(0) }; CELLS] }; KINDS.len()],
        over: AtomicBool::new(false),
        calls: CALLS.iter().map(|_| Default::default()).collect(),
    };
    let end = Instant::now() + Duration::from_secs(number("TENURE_STRESS_SECONDS", 2));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|i| {
                scope.spawn({
                    let shared = &shared;
                    move || work(shared, seed * THREADS as u64 + i, only)
                })
            })
            .collect();
        while Instant::now() < end && !threads.iter().any(|thread| thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
        }
        shared.over.store(true, Ordering::Relaxed);
    });
    let mut by_name: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (&(function, _), [called, worked]) in CALLS.iter().zip(&shared.calls) {
        let (called, worked) = (called.load(Ordering::Relaxed), worked.load(Ordering::Relaxed));
        println!("{function}: {worked} of {called}");
        let sums = by_name.entry(function).or_insert((0, 0));
        *sums = (sums.0 + called, sums.1 + worked);
    }
    // Some ways to call a function succeed too rarely for a check of their own, as tn_leave with arrays of another
    // scope.
    for (function, (called, worked)) in by_name {
        assert!(called < 1000 || worked > 0, "{function} never succeeds in {called} calls");
    }
    // Scopes end the handles of their callees, guards and expressions come before the pools.
    for kind in [
        Kind::Scope,
        Kind::Guard,
        Kind::Expr,
        Kind::Function,
        Kind::Variable,
        Kind::Mirror,
        Kind::Module,
        Kind::Promise,
        Kind::Array,
        Kind::Weak,
        Kind::Block,
        Kind::Pool,
    ] {
        for cell in &shared.tables[kind as usize] {
            release(kind, cell.swap(0, Ordering::Relaxed));
        }
    }
    capi::run_releases();
    assert_eq!(capi::leak_count(), 0, "{:?}", capi::leaks());
    let mut default = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { pool::tn_pool_default(HOST, &mut default) }, TN_OK);
    let left = stats(default as usize);
    assert_eq!((left.live_blocks, left.requested_bytes, left.held_bytes), (0, 0, 0));
    assert_eq!(pool::tn_pool_release(default), TN_OK);
}
