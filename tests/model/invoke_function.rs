//! The calls on functions, and the C side of their bodies.
//!
//! Contract: as `invoke`. The calls of a body are in `callback`.

use super::api::*;
use super::callback::untouched_crossing;
use super::calls::{Input, Output};
use super::handle::Ref;
use super::invoke::Got;
use super::library::{HOST, Library, UNTOUCHED, on_release};
use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::{null, null_mut};
use tenure::types::*;

const ANY: tn_device = tn_device { r#type: 0, id: 0 };

impl Library {
    pub fn function(&self, function: Ref) -> *mut tn_function {
        self.bits(function) as *mut tn_function
    }

    /// `out` is NULL on purpose, or writable.
    pub fn function_create(
        &self,
        inputs: &[Input],
        outputs: &[Output],
        updates: &[(Ref, u32)],
        body: tn_function_body,
        out: *mut usize,
    ) -> tn_status {
        let inputs: Vec<tn_in> = inputs
            .iter()
            .enumerate()
            .map(|(k, input)| tn_in {
                size: size_of::<tn_in>(),
                name: null(),
                flags: input.flags,
                dtype: input.dtype,
                device: if k % 2 == 0 { ANY } else { HOST },
                ndim: input.ndim,
                reserved: 0,
                default_value: self.array(input.default),
                shared: self.shared(input.shared),
            })
            .collect();
        let outputs: Vec<tn_out> = outputs
            .iter()
            .map(|output| tn_out {
                size: size_of::<tn_out>(),
                name: null(),
                flags: output.flags,
                dtype: output.dtype,
                device: ANY,
                ndim: output.ndim,
                reserved: 0,
            })
            .collect();
        let updates: Vec<tn_update> = updates
            .iter()
            .map(|&(target, flags)| tn_update {
                size: size_of::<tn_update>(),
                target: self.shared(target),
                flags,
                reserved: 0,
            })
            .collect();
        let options = tn_function_options {
            size: size_of::<tn_function_options>(),
            name: null(),
            body,
            expr_body: None,
            context: (self.serial << 32 | self.callbacks) as *mut c_void,
            release: Some(on_release),
            n_in: inputs.len(),
            n_out: outputs.len(),
            n_update: updates.len(),
            inputs: inputs.as_ptr(),
            outputs: outputs.as_ptr(),
            updates: updates.as_ptr(),
        };
        // SAFETY: handles are checked ids; all lists have the length passed beside them and outlive the call.
        unsafe { tn_function_create(&options, out.cast()) }
    }
}

/// The outputs of a call of a function.
pub struct CallOutputs {
    arrays: Vec<*mut tn_array>,
    in_how: Vec<tn_crossing>,
    out_how: Vec<tn_crossing>,
}

impl CallOutputs {
    pub fn new(n_in: usize, n_out: usize) -> CallOutputs {
        CallOutputs {
            arrays: vec![UNTOUCHED as *mut tn_array; n_out],
            in_how: vec![untouched_crossing(); n_in],
            out_how: vec![untouched_crossing(); n_out],
        }
    }

    /// Makes the call. Its body runs within it.
    pub fn call(&mut self, function: *mut tn_function, arguments: &[*mut tn_array], no_out: bool) -> tn_status {
        let out = if no_out { null_mut() } else { self.arrays.as_mut_ptr() };
        // SAFETY: handles are checked ids; all lists have the length passed beside them and outlive the call.
        unsafe {
            tn_function_call(
                function,
                arguments.len(),
                arguments.as_ptr(),
                self.arrays.len(),
                out,
                self.in_how.as_mut_ptr(),
                self.out_how.as_mut_ptr(),
            )
        }
    }

    pub fn got(self, status: tn_status) -> Got {
        let mut got = Got::default();
        for how in self.in_how.into_iter().chain(self.out_how) {
            got.keep_crossing(status, how);
        }
        if status == TN_OK {
            got.arrays = self.arrays;
        } else {
            let untouched = self.arrays.iter().all(|&out| out as usize == UNTOUCHED);
            assert!(untouched, "a failing call wrote its outputs");
        }
        got
    }
}
