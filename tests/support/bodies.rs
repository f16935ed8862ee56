//! Functions whose bodies, and updates whose callbacks, do random things with what they find.

use super::random::Random;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};
use tenure::ffi::{array, expr, function, transfer, view};
use tenure::types::*;

/// The context of a body. Several calls may run at once.
struct Body {
    n_in: usize,
    n_out: usize,
    n_update: usize,
    seed: AtomicU64,
}

impl Body {
    /// The draws of one call.
    fn random(&self) -> Random {
        Random::new(self.seed.fetch_add(1, Ordering::Relaxed))
    }
}

/// Creates a function with one of the two bodies below.
///
/// # Safety
/// - `out` may be written. The names of inputs and outputs are NULL or NUL-terminated.
pub unsafe fn create(
    random: &mut Random,
    inputs: &[tn_in],
    outputs: &[tn_out],
    updates: &[tn_update],
    out: *mut *mut tn_function,
) -> tn_status {
    let (n_in, n_out, n_update) = (inputs.len(), outputs.len(), updates.len());
    let context = Box::into_raw(Box::new(Body { n_in, n_out, n_update, seed: random.next().into() })).cast();
    let lazy = random.chance(25);
    let options = tn_function_options {
        size: size_of::<tn_function_options>(),
        name: if random.chance(50) { c"random".as_ptr() } else { std::ptr::null() },
        body: if lazy { None } else { Some(on_arrays) },
        expr_body: if lazy { Some(on_expressions) } else { None },
        context,
        release: Some(end),
        n_in,
        n_out,
        n_update,
        inputs: inputs.as_ptr(),
        outputs: outputs.as_ptr(),
        updates: updates.as_ptr(),
    };
    // SAFETY: lists of their lengths; the caller's obligation for the rest.
    let status = unsafe { function::tn_function_create(&options, out) };
    if status != TN_OK {
        // SAFETY: a context of its own, which a failing call does not release.
        unsafe { end(context) };
    }
    status
}

unsafe extern "C" fn end(context: *mut c_void) {
    // SAFETY: the box of `create`, once.
    drop(unsafe { Box::from_raw(context.cast::<Body>()) });
}

/// Mostly success.
fn status(random: &mut Random) -> tn_status {
    match random.below(12) {
        0 => TN_ERR_FAILED,
        1 => TN_ERR_NO_HOST_MEMORY,
        2 => 12345,
        _ => TN_OK,
    }
}

/// Draws one of the inputs, or NULL.
///
/// # Safety
/// - `inputs` has as many items as the body's function has inputs.
unsafe fn any<T>(body: &Body, random: &mut Random, inputs: *const *mut T) -> *mut T {
    match body.n_in {
        0 => null_mut(),
        // SAFETY: the caller's obligation.
        n_in => unsafe { *inputs.add(random.below(n_in)) },
    }
}

/// The places of a body: its outputs, and then its updates.
fn places<T>(body: &Body, out: *mut *mut T, update: *mut *mut T) -> impl Iterator<Item = *mut *mut T> {
    let outputs = (0..body.n_out).map(move |at| out.wrapping_add(at));
    outputs.chain((0..body.n_update).map(move |at| update.wrapping_add(at)))
}

unsafe extern "C" fn on_arrays(
    context: *mut c_void,
    inputs: *const *mut tn_array,
    out: *mut *mut tn_array,
    update: *mut *mut tn_array,
) -> tn_status {
    // SAFETY: the context of `create`; as many items as were declared. Handles may be anything, and outputs are ours.
    unsafe {
        let body = &*context.cast::<Body>();
        let mut random = body.random();
        for place in places(body, out, update) {
            let from = if random.chance(70) { any(body, &mut random, inputs) } else { *place };
            let mut made = null_mut();
            match random.below(12) {
                0 => transfer::tn_array_clear(from, 0, null_mut()),
                1 => array::tn_array_release(from),
                _ => TN_OK,
            };
            *place = match random.below(10) {
                0 | 1 => *place,
                2 => from,
                3 if random.chance(30) => null_mut(),
                4 if random.chance(10) => random.next() as *mut tn_array,
                5 => {
                    view::tn_array_transpose(from, &mut made);
                    made
                }
                6 => {
                    array::tn_array_clone(from, &mut made);
                    made
                }
                _ => {
                    let ndim = random.below(3) as i32;
                    array::tn_array_zeros(null_mut(), TN_F64, ndim, [4, 4].as_ptr(), std::ptr::null(), &mut made);
                    made
                }
            };
        }
        status(&mut random)
    }
}

unsafe extern "C" fn on_expressions(
    context: *mut c_void,
    inputs: *const *mut tn_expr,
    out: *mut *mut tn_expr,
    update: *mut *mut tn_expr,
) -> tn_status {
    // SAFETY: as above.
    unsafe {
        let body = &*context.cast::<Body>();
        let mut random = body.random();
        for place in places(body, out, update) {
            let (x, y) = (any(body, &mut random, inputs), any(body, &mut random, inputs));
            let mut made = null_mut();
            *place = match random.below(8) {
                0 => *place,
                1 => x,
                2 => {
                    expr::tn_expr_scale(x, 0.5, &mut made);
                    made
                }
                3 => {
                    expr::tn_expr_cholesky(x, &mut made);
                    made
                }
                _ => {
                    expr::tn_expr_add(x, y, &mut made);
                    made
                }
            };
        }
        status(&mut random)
    }
}

/// The callback of an update. Its context is a [`Random`].
pub unsafe extern "C" fn change(context: *mut c_void, value: *mut tn_array) -> tn_status {
    // SAFETY: the context of the call, which nothing else uses meanwhile.
    let random = unsafe { &mut *context.cast::<Random>() };
    match random.below(6) {
        0 => array::tn_array_release(value),
        1 => TN_OK,
        _ => transfer::tn_array_clear(value, 0, null_mut()),
    };
    status(random)
}
