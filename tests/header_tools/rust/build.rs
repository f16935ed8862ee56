//! Generates bindings from the raw header. `cargo xtask header-tools` sets the variables.

fn main() {
    let set = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name}: set by cargo xtask header-tools"));
    let header = format!("{}/tenure.h", set("TENURE_INCLUDE"));
    println!("cargo::rerun-if-changed={header}");
    println!("cargo::rustc-link-search={}", set("TENURE_LIB"));
    println!("cargo::rustc-link-lib=dylib=tenure");
    let bindings = bindgen::Builder::default()
        .header(header)
        // PyPI's libclang comes without the compiler's headers; gcc's serve.
        .clang_arg(format!("-isystem{}", set("COMPILER_INCLUDE")))
        .generate()
        .expect("bindgen takes the header");
    bindings.write_to_file(set("TENURE_BINDINGS")).expect("the folder is writable");
}
