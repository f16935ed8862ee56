//! The C functions for functions with declared inputs, outputs and updates.

use super::{Id, Result, check, made};
use crate::sys::*;
use core::ffi::{CStr, c_void};
use core::ptr::null;

/// What an array that crosses has to be.
pub struct Declared<'a> {
    pub name: Option<&'a CStr>,
    pub flags: u32,
    /// 0: any.
    pub dtype: tn_dtype,
    /// None: where it is.
    pub device: Option<tn_device>,
    /// -1: any.
    pub ndim: i32,
}

/// An input. `default`, `variable`: NULL for none.
pub struct Input<'a> {
    pub declared: Declared<'a>,
    pub default: Id,
    pub variable: Id,
}

/// An update of a variable.
pub struct Update {
    pub variable: Id,
    pub flags: u32,
}

/// The code of a function: its callbacks and what they get. One of the two bodies is None.
pub struct Code {
    pub body: tn_function_body,
    pub expr_body: tn_function_expr_body,
    pub release: tn_release_callback,
    pub context: *mut c_void,
}

fn device_of(declared: &Declared<'_>) -> tn_device {
    declared.device.unwrap_or(tn_device { r#type: 0, id: 0 })
}

fn name_of(name: Option<&CStr>) -> *const core::ffi::c_char {
    name.map_or(null(), CStr::as_ptr)
}

/// Creates a function.
///
/// # Safety
/// - The callbacks accept `code.context` until `code.release` was called. If this fails, that is not called.
pub unsafe fn create(
    name: Option<&CStr>,
    code: Code,
    inputs: &[Input<'_>],
    outputs: &[Declared<'_>],
    updates: &[Update],
) -> Result<Id> {
    let inputs: Vec<tn_in> = inputs
        .iter()
        .map(|input| tn_in {
            size: size_of::<tn_in>(),
            name: name_of(input.declared.name),
            flags: input.declared.flags,
            dtype: input.declared.dtype,
            device: device_of(&input.declared),
            ndim: input.declared.ndim,
            reserved: 0,
            default_value: input.default.raw(),
            shared: input.variable.raw(),
        })
        .collect();
    let outputs: Vec<tn_out> = outputs
        .iter()
        .map(|output| tn_out {
            size: size_of::<tn_out>(),
            name: name_of(output.name),
            flags: output.flags,
            dtype: output.dtype,
            device: device_of(output),
            ndim: output.ndim,
            reserved: 0,
        })
        .collect();
    let updates: Vec<tn_update> = updates
        .iter()
        .map(|update| tn_update {
            size: size_of::<tn_update>(),
            target: update.variable.raw(),
            flags: update.flags,
            reserved: 0,
        })
        .collect();
    let options = tn_function_options {
        size: size_of::<tn_function_options>(),
        name: name_of(name),
        body: code.body,
        expr_body: code.expr_body,
        context: code.context,
        release: code.release,
        n_in: inputs.len(),
        n_out: outputs.len(),
        n_update: updates.len(),
        inputs: inputs.as_ptr(),
        outputs: outputs.as_ptr(),
        updates: updates.as_ptr(),
    };
    // SAFETY: the lists have the lengths that the options say; the callbacks by this function's list.
    made(|out| unsafe { tn_function_create(&options, out) })
}

/// Calls a function. `arguments` has an item for each input that is no variable, `outputs` one for each output. `how`
/// has one for each input, then for each output, then for each update.
///
/// # Safety
/// - `how` has room for the `n_inputs` inputs, the outputs and the updates with which the function was created.
pub unsafe fn call(
    function: Id,
    arguments: &[Id],
    outputs: &mut [Id],
    n_inputs: usize,
    how: &mut [tn_crossing],
) -> Result<()> {
    assert!(how.len() >= n_inputs + outputs.len());
    let (inputs, how) = how.split_at_mut(n_inputs);
    let (out_how, updates) = how.split_at_mut(outputs.len());
    let crossings = tn_call_crossings {
        size: size_of::<tn_call_crossings>(),
        inputs: inputs.as_mut_ptr(),
        outputs: out_how.as_mut_ptr(),
        updates: updates.as_mut_ptr(),
    };
    // SAFETY: a checked id; the lists have the lengths that are passed, those of `crossings` by this function's list; an
    // `Id` of 64 bits is read and written as the pointer whose bits it has.
    check(unsafe {
        tn_function_call_crossings(
            function.raw(),
            arguments.len(),
            arguments.as_ptr().cast(),
            outputs.len(),
            outputs.as_mut_ptr().cast(),
            &crossings,
        )
    })
}

/// A read-only array on the default value of an input.
pub fn default(function: Id, index: usize) -> Result<Id> {
    // SAFETY: a checked id.
    made(|out| unsafe { tn_function_default(function.raw(), index, out) })
}

calls! {
    /// Releases a function.
    fn release(function: Id) = tn_function_release;
}
