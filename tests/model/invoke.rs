//! One call on the library, as a C caller makes it, and its result.
//!
//! Contract: [`Library::run`] makes one C call and reports its outputs. It judges only that a failing call left every
//! output untouched (ER-3).

use super::api::*;
use super::callback::on_body;
use super::calls::{Beside, Call, Contents, Parts, Stream};
use super::handle::SCRATCH;
use super::layout::Layout;
use super::library::{HOST, Library, UNTOUCHED, on_release, sorted};
use super::rules::Status;
use super::store::Memory;
use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::{null, null_mut};
use tenure::types::*;

/// A data pointer with the layout beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub data: usize,
    pub dtype: u32,
    pub shape: Vec<i64>,
    pub strides: Vec<i64>,
    pub bytes: u64,
}

/// The outputs of a call that succeeded, and the known fields of a holder.
#[derive(Default, Debug)]
pub struct Got {
    pub arrays: Vec<*mut tn_array>,
    pub weak: Option<*mut tn_weak>,
    pub promise: Option<*mut tn_promise>,
    pub scope: Option<*mut tn_scope>,
    pub expr: Option<*mut tn_expr>,
    pub shared: Option<*mut tn_shared>,
    pub function: Option<*mut tn_function>,
    pub guards: Vec<*mut tn_borrow>,
    pub views: Vec<Seen>,
    pub chunks: Vec<(i64, i64)>,
    pub how: Option<u32>,
    pub crossed: Vec<(u32, u32)>,
    pub number: Option<i64>,
    /// (kind, the handle's bits), sorted.
    pub holders: Option<Vec<(u32, u64)>>,
}

impl Stream {
    pub fn argument(self) -> *mut tn_stream {
        let bits = match self {
            Stream::Null => 0usize,
            Stream::Legacy => 1,
            Stream::PerThread => 2,
            Stream::Current => 3,
            Stream::Junk => 0x1000,
        };
        bits as *mut tn_stream
    }
}

impl Library {
    pub fn run(&mut self, call: &Call, beside: Beside, element: &[u8]) -> Result<Got, Status> {
        let stream = beside.stream.argument();
        let mut got = Got::default();
        let mut out = UNTOUCHED;
        let out_at: *mut usize = if beside.no_out { null_mut() } else { &raw mut out };
        let array_out: *mut *mut tn_array = out_at.cast();
        let guard_out: *mut *mut tn_borrow = out_at.cast();
        // SAFETY: (all blocks of this function) handles are checked ids. Every pointer is NULL on purpose, or points to
        // a local that outlives the call and has as many items as the argument beside it says. Memory addresses come
        // from existing blocks.
        let status = match call {
            Call::Make { pool, dtype, shape, order, contents } => {
                let options = tn_array_options {
                    size: size_of::<tn_array_options>(),
                    order: *order,
                    flags: 0,
                    stream: null_mut(),
                    name: null(),
                };
                let (pool, n, dims) = (self.bits(*pool) as *mut tn_pool, shape.len() as i32, shape.as_ptr());
                // SAFETY: as above.
                unsafe {
                    match contents {
                        Contents::Empty => tn_array_empty(pool, *dtype, n, dims, &options, array_out),
                        Contents::Zeros => tn_array_zeros(pool, *dtype, n, dims, &options, array_out),
                        Contents::Full => {
                            tn_array_full(pool, *dtype, n, dims, element.as_ptr().cast(), &options, array_out)
                        }
                    }
                }
            }
            Call::Import { ptr, offset, dtype, shape, strides, flags, callback } => {
                let layout = tn_layout {
                    size: size_of::<tn_layout>(),
                    dtype: *dtype,
                    ndim: shape.len() as i32,
                    shape: shape.as_ptr(),
                    strides: strides.as_ref().map_or(null(), |strides| strides.as_ptr()),
                    offset: *offset,
                };
                let release: tn_release_callback = if *callback { Some(on_release) } else { None };
                let context = (self.serial << 32 | self.callbacks) as *mut c_void;
                let mut how = UNTOUCHED as u32;
                // SAFETY: as above.
                let status = unsafe {
                    tn_array_import_host(
                        self.real(*ptr) as *mut c_void,
                        &layout,
                        *flags,
                        release,
                        context,
                        array_out,
                        &mut how,
                    )
                };
                if status == TN_OK {
                    got.how = Some(how);
                    self.callbacks += usize::from(*callback);
                } else {
                    assert_eq!(how, UNTOUCHED as u32, "a failing import wrote how");
                }
                status
            }
            Call::View { array, view } => self.view(self.array(*array), view, array_out),
            Call::Parts { array, axis, parts, capacity } => {
                let mut outs = vec![UNTOUCHED as *mut tn_array; capacity.unwrap_or(0)];
                let places = if capacity.is_some() { outs.as_mut_ptr() } else { null_mut() };
                let room = outs.len();
                // SAFETY: as above. An empty vector's pointer is not NULL, so the call returns handles.
                let status = unsafe {
                    match *parts {
                        Parts::Split(n) => {
                            tn_array_split(self.array(*array), *axis, n.max(0) as usize, room, places, out_at)
                        }
                        Parts::Chunks(n) => tn_array_chunks(self.array(*array), *axis, n, room, places, out_at),
                    }
                };
                if status == TN_OK {
                    got.number = Some(out as i64);
                    let made = if capacity.is_some() { out } else { 0 };
                    assert!(outs[made..].iter().all(|&out| out as usize == UNTOUCHED));
                    got.arrays.extend(&outs[..made]);
                } else {
                    assert!(outs.iter().all(|&out| out as usize == UNTOUCHED), "a failing call wrote its outputs");
                }
                status
            }
            // SAFETY: as above.
            Call::Clone { array } => unsafe { tn_array_clone(self.array(*array), array_out) },
            Call::SetForm { array, form } => tn_array_set_form(self.array(*array), *form),
            Call::Copy { array, pool } => {
                // SAFETY: as above.
                unsafe { tn_array_copy(self.array(*array), self.bits(*pool) as *mut tn_pool, stream, array_out) }
            }
            Call::Release { array } => tn_array_release(self.array(*array)),
            // SAFETY: as above.
            Call::Weaken { array } => unsafe { tn_array_weaken(self.array(*array), out_at.cast()) },
            // SAFETY: as above.
            Call::Upgrade { weak } => unsafe { tn_weak_upgrade(self.bits(*weak) as *mut tn_weak, array_out) },
            Call::WeakRelease { weak } => tn_weak_release(self.bits(*weak) as *mut tn_weak),
            Call::BorrowRead { array, flags } => {
                let (mut data, mut view) = (UNTOUCHED as *const c_void, no_view());
                // SAFETY: as above.
                let status = unsafe {
                    tn_array_borrow_read(self.array(*array), *flags, stream, &mut data, &mut view, guard_out)
                };
                self.seen(status, data as usize, &view, &mut got);
                status
            }
            Call::BorrowWrite { array, mode } => {
                let (mut data, mut view) = (UNTOUCHED as *mut c_void, no_view());
                // SAFETY: as above.
                let status = unsafe {
                    tn_array_borrow_write(self.array(*array), *mode, stream, &mut data, &mut view, guard_out)
                };
                self.seen(status, data as usize, &view, &mut got);
                status
            }
            Call::BorrowAll { entries } => {
                let specs: Vec<tn_borrow_spec> = entries
                    .iter()
                    .map(|&(array, access)| tn_borrow_spec {
                        array: self.array(array),
                        stream,
                        access,
                        reserved: [0; 9],
                    })
                    .collect();
                let mut views: Vec<tn_view_info> = entries.iter().map(|_| no_view()).collect();
                // SAFETY: as above.
                let status = unsafe { tn_borrow_all(specs.len(), specs.as_ptr(), views.as_mut_ptr(), guard_out) };
                for view in &views {
                    self.seen(status, view.data as usize, view, &mut got);
                }
                status
            }
            Call::SplitWrite { array, axis, n, mode } => {
                self.split_write(*array, *axis, *n, *mode, stream, beside.no_out, &mut got)
            }
            Call::End { guard, flags } => tn_borrow_end(self.bits(*guard) as *mut tn_borrow, *flags, stream),
            Call::Fill { array, value, mode } => {
                let value = if *value { element.as_ptr().cast() } else { null() };
                // SAFETY: as above.
                unsafe { tn_array_fill(self.array(*array), value, *mode, stream) }
            }
            Call::Zero { array, mode } => tn_array_clear(self.array(*array), *mode, stream),
            Call::CopyInto { source, destination, mode } => {
                tn_array_copy_into(self.array(*source), self.array(*destination), *mode, stream)
            }
            Call::CopyToHost { array, host } => self.with_host(host.as_ref(), |ptr, layout| {
                // SAFETY: as above.
                unsafe { tn_array_copy_to_host(self.array(*array), ptr, layout, stream) }
            }),
            Call::CopyFromHost { array, host, mode } => self.with_host(host.as_ref(), |ptr, layout| {
                // SAFETY: as above.
                unsafe { tn_array_copy_from_host(self.array(*array), ptr, layout, *mode, stream) }
            }),
            // SAFETY: as above.
            Call::Give { array, required } => unsafe {
                tn_array_give(self.array(*array), *required as usize, out_at.cast())
            },
            Call::Cancel { promise } => tn_promise_cancel(self.bits(*promise) as *mut tn_promise),
            Call::PromiseRelease { promise } => tn_promise_release(self.bits(*promise) as *mut tn_promise),
            Call::Take { promises } => {
                let ids: Vec<*mut tn_promise> =
                    promises.iter().map(|&promise| self.bits(promise) as *mut tn_promise).collect();
                let mut outs = vec![UNTOUCHED as *mut tn_array; ids.len()];
                let places = if beside.no_out { null_mut() } else { outs.as_mut_ptr() };
                // SAFETY: as above.
                let status = unsafe { tn_take(ids.len(), ids.as_ptr(), places) };
                if status == TN_OK {
                    got.arrays = outs;
                } else {
                    assert!(outs.iter().all(|&out| out as usize == UNTOUCHED), "a failing take wrote its outputs");
                }
                status
            }
            Call::Enter { params } => self.enter(params, beside.no_out, &mut got),
            Call::Leave { scope, keep } => {
                let keep: Vec<*mut tn_array> = keep.iter().map(|&array| self.array(array)).collect();
                let place = if keep.is_empty() { null() } else { keep.as_ptr() };
                // SAFETY: as above.
                unsafe { tn_leave(self.bits(*scope) as *mut tn_scope, keep.len(), place) }
            }
            Call::Leaf { array, form } => self.leaf(*array, *form, out_at.cast()),
            Call::Build { what, x, y } => self.build(*what, self.expr(*x), self.expr(*y), out_at.cast()),
            Call::Compute { expr, flags } => self.compute(*expr, *flags, array_out),
            Call::ExprRelease { expr } => self.release_expr(self.expr(*expr)),
            Call::Export { array, flags, mode } => {
                let (mut how, mut view) = (UNTOUCHED as u32, no_view());
                // SAFETY: as above.
                let status = unsafe {
                    tn_array_export_host(self.array(*array), *flags, *mode, stream, &mut view, guard_out, &mut how)
                };
                self.seen(status, view.data as usize, &view, &mut got);
                if status == TN_OK {
                    got.how = Some(how);
                } else {
                    assert_eq!(how, UNTOUCHED as u32, "a failing export wrote how");
                }
                status
            }
            Call::Query { array } if beside.no_out => {
                // SAFETY: as above.
                unsafe { tn_array_query(self.array(*array), null_mut()) }
            }
            Call::Query { array } => self.describe(*array).err().unwrap_or(TN_OK),
            Call::IsUnique { array } => {
                let mut unique = UNTOUCHED as i32;
                let place = if beside.no_out { null_mut() } else { &raw mut unique };
                // SAFETY: as above.
                let status = unsafe { tn_array_is_unique(self.array(*array), place) };
                got.number = Some(i64::from(unique));
                assert!(status == TN_OK || unique == UNTOUCHED as i32, "a failing call wrote its output");
                status
            }
            Call::WhyNot { array, target } => {
                let target = target.as_ref().map(|target| tn_target {
                    size: size_of::<tn_target>(),
                    device: tn_device { r#type: target.device.0, id: target.device.1 },
                    dtype: target.dtype,
                    ndim: target.shape.len() as i32,
                    shape: target.shape.as_ptr(),
                });
                let target = target.as_ref().map_or(null(), |target| target as *const tn_target);
                let (mut bits, mut n, mut holders) = (UNTOUCHED as u32, UNTOUCHED, self.places());
                let place = if beside.no_out { null_mut() } else { &raw mut bits };
                // SAFETY: as above.
                let status = unsafe {
                    tn_array_why_not(
                        self.array(*array),
                        target,
                        size_of::<tn_holder>(),
                        holders.len(),
                        place,
                        holders.as_mut_ptr(),
                        &mut n,
                    )
                };
                if status == TN_OK {
                    got.number = Some(i64::from(bits));
                    got.holders = Some(sorted(&holders, n));
                } else {
                    assert_eq!(
                        (bits, n, holders[0].kind),
                        (UNTOUCHED as u32, UNTOUCHED, 0),
                        "a failing call wrote its outputs"
                    );
                }
                status
            }
            Call::Overlap { a, b } => {
                let mut answer = UNTOUCHED as u32;
                let place = if beside.no_out { null_mut() } else { &raw mut answer };
                // SAFETY: as above.
                let status = unsafe { tn_array_overlap(self.array(*a), self.array(*b), place) };
                // An undecided relation counts as overlap.
                let decided = if answer == TN_OVERLAP_UNKNOWN { TN_OVERLAP_SOME } else { answer };
                got.number = Some(i64::from(decided));
                assert!(status == TN_OK || answer == UNTOUCHED as u32, "a failing call wrote its output");
                status
            }
            Call::HoldersOf { at, bytes } => match self.holders_of(self.real(*at), *bytes as usize, beside.no_out) {
                Ok((store, holders)) => {
                    got.number = Some(store.0 as i64);
                    got.holders = Some(holders);
                    TN_OK
                }
                Err(status) => status,
            },
            Call::RunReleases => {
                let mut count = UNTOUCHED;
                // SAFETY: as above.
                let status = unsafe { tn_run_releases(&mut count) };
                got.number = Some(count as i64);
                status
            }
            Call::Forbid { on } => {
                let status = tn_copies_forbid(*on);
                if status == TN_OK {
                    self.forbidden = self.forbidden.wrapping_add_signed(if *on == 1 { 1 } else { -1 });
                }
                status
            }
            Call::SharedCreate { .. }
            | Call::SharedGet { .. }
            | Call::SharedSet { .. }
            | Call::UpdateBegin { .. }
            | Call::UpdateEnd { .. }
            | Call::SharedRelease { .. } => self.shared_call(call, out_at, &mut got),
            Call::FunctionCreate { inputs, outputs, updates } => {
                self.function_create(inputs, outputs, updates, Some(on_body), out_at)
            }
            Call::FunctionRelease { function } => tn_function_release(self.function(*function)),
            Call::SharedUpdate { .. } | Call::RunFunction { .. } | Call::Launch { .. } => {
                unreachable!("the driver makes calls with a callback")
            }
            Call::WriteThrough { .. } | Call::WriteForeign { .. } | Call::Return { .. } | Call::Place { .. } => TN_OK,
        };
        if status != TN_OK {
            assert_eq!(out, UNTOUCHED, "a failing call wrote its output");
            return Err(status);
        }
        match call {
            Call::Weaken { .. } => got.weak = Some(out as *mut tn_weak),
            Call::Give { .. } => got.promise = Some(out as *mut tn_promise),
            Call::FunctionCreate { .. } => {
                got.function = Some(out as *mut tn_function);
                self.callbacks += 1;
            }
            Call::SharedCreate { .. } => got.shared = Some(out as *mut tn_shared),
            Call::Leaf { .. } | Call::Build { .. } => got.expr = Some(out as *mut tn_expr),
            Call::BorrowRead { .. } | Call::BorrowWrite { .. } | Call::BorrowAll { .. } | Call::Export { .. } => {
                got.guards.push(out as *mut tn_borrow)
            }
            Call::Parts { .. } => {}
            _ if out != UNTOUCHED => got.arrays.push(out as *mut tn_array),
            _ => {}
        }
        Ok(got)
    }

    fn with_host(&self, host: Option<&Layout>, call: impl Fn(*mut c_void, *const tn_layout) -> tn_status) -> tn_status {
        let scratch = self.blocks[SCRATCH];
        let Some(host) = host else { return call(scratch as *mut c_void, null()) };
        let layout = tn_layout {
            size: size_of::<tn_layout>(),
            dtype: host.dtype,
            ndim: host.shape.len() as i32,
            shape: host.shape.as_ptr(),
            strides: host.strides.as_ptr(),
            offset: host.at - Memory::base(SCRATCH),
        };
        call(scratch as *mut c_void, &layout)
    }

    /// Keeps the contents of a view, or checks that a failing call wrote none.
    fn seen(&self, status: tn_status, data: usize, view: &tn_view_info, got: &mut Got) {
        if status != TN_OK {
            assert!(
                data == UNTOUCHED && view.data as usize == UNTOUCHED && view.ndim == -1,
                "a failing call wrote its outputs"
            );
            return;
        }
        assert_eq!((data, view.device), (view.data as usize, HOST));
        let dims = |at: *const i64| -> Vec<i64> {
            // SAFETY: ndim entries, valid until the guard ends.
            (0..view.ndim as usize).map(|k| unsafe { *at.add(k) }).collect()
        };
        got.views.push(Seen {
            data,
            dtype: view.dtype,
            shape: dims(view.shape),
            strides: dims(view.strides),
            bytes: view.bytes,
        });
    }
}

fn no_view() -> tn_view_info {
    let data = UNTOUCHED as *mut c_void;
    tn_view_info {
        data,
        device: HOST,
        ndim: -1,
        dtype: 0,
        shape: null(),
        strides: null(),
        device_data: 0,
        bytes: 0,
        reserved: [0; 4],
    }
}
