//! Gives the shared library its SONAME: the number changes when, and only when, the ABI breaks.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtenure.so.0");
}
