//! The library built without the Cargo feature `managed`: it exports the functions of all other sections, and no more. `cargo
//! test --no-default-features --test core_alone`.
#![cfg(not(feature = "managed"))]

use core::ptr::{null, null_mut};
use std::path::PathBuf;
use std::process::Command;
use tenure::ffi::{array::*, borrow::*, library::*, report::*};
use tenure::types::*;

/// The shared library that this build made beside the test.
fn library() -> PathBuf {
    std::env::current_exe().expect("a test knows its own path").with_file_name("libtenure.so")
}

#[test]
fn exports_the_sections_of_the_core() {
    let listed = Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library()).output();
    let listed = listed.expect("nm runs; on Debian: apt-get install binutils");
    let listed = String::from_utf8(listed.stdout).expect("nm prints text");
    let mut exported: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    exported.sort_unstable();
    let api: serde_json::Value = serde_json::from_str(include_str!("../abi/api.json")).expect("abi/api.json is JSON");
    let list = |name: &str| api[name].as_array().expect("a list").iter();
    let managed: Vec<&str> =
        list("sections").filter(|s| s["feature"] == "managed").filter_map(|s| s["name"].as_str()).collect();
    assert!(managed.contains(&"expr") && managed.contains(&"launch") && !managed.contains(&"array"), "{managed:?}");
    let mut core: Vec<&str> = list("functions")
        .filter(|f| !managed.contains(&f["section"].as_str().expect("a section")))
        .filter_map(|f| f["name"].as_str())
        .collect();
    core.sort_unstable();
    assert_eq!(exported, core);
}

#[test]
fn arrays_are_made_borrowed_and_reported() {
    let (mut array, mut guard, mut data) = (null_mut(), null_mut(), null_mut());
    let shape = [2i64, 3];
    // SAFETY: outputs are local, the shape has two entries, and the bytes are used while the guard is open.
    unsafe {
        assert_eq!(tn_array_zeros(null_mut(), TN_F64, 2, shape.as_ptr(), null(), &mut array), TN_OK);
        assert_eq!(
            tn_array_borrow_write(array, TN_WRITE_ALIASED, null_mut(), &mut data, null_mut(), &mut guard),
            TN_OK
        );
        data.cast::<f64>().add(5).write(1.0);
        let mut other = null_mut();
        let refused = tn_array_borrow_read(array, 0, null_mut(), null_mut(), null_mut(), &mut other);
        assert_eq!(refused, TN_ERR_BORROWED_WRITE);
        assert_eq!(tn_borrow_end(guard, 0, null_mut()), TN_OK);
        let mut length = 0;
        assert_eq!(tn_report_json(0, 0, null_mut(), &mut length), TN_OK);
        assert!(length > 100);
        assert_eq!(tn_array_release(array), TN_OK);
        assert_eq!(tn_option_set(c"strict".as_ptr(), c"0".as_ptr()), TN_OK);
        assert_eq!(tn_option_set(c"expr.blas".as_ptr(), c"openblas".as_ptr()), TN_ERR_UNSUPPORTED);
    }
}
