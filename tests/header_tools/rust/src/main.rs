//! rust-bindgen: the header without a wrapper.
#![allow(non_camel_case_types, non_upper_case_globals, dead_code)]

use std::ptr::{null, null_mut};

include!(env!("TENURE_BINDINGS"));

fn main() {
    let (mut array, mut part, mut guard) = (null_mut(), null_mut(), null_mut());
    let spec = tn_slice_spec { start: 1, stop: TN_NONE, step: TN_NONE, reserved: [0; 4] };
    unsafe {
        let status = tn_array_zeros(null_mut(), TN_F64, 1, &3, null(), &mut array);
        assert!(status == TN_OK);
        assert!(tn_array_slice(array, 1, &spec, &mut part) == TN_OK);
        let flags: tn_guard_flags = TN_FROZEN | TN_WAIT;
        assert!(tn_array_borrow_read(part, flags, tn_stream_legacy(), null_mut(), null_mut(), &mut guard) == TN_OK);
        assert!(tn_array_release(array) == TN_OK && tn_borrow_end(guard, 0, null_mut()) == TN_OK);
        assert!(tn_array_release(part) == TN_OK && tn_array_release(part) == TN_ERR_STALE);
    }
}
