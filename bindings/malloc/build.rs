//! Sets `cfg(preload)` for the files of the pool, and the linker's options.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=preload");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtenure_malloc.so");
    // Never unloaded: its blocks stay in use, and a thread key's destructor calls its code.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
