//! Tells the engine's files that they are built into the preload library, and the linker what that is.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=preload");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtenure_malloc.so");
    // Never unloaded, whoever else opened it: what it handed out stays, and a key of the C library leads to its code.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
