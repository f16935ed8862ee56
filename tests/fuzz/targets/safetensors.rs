//! `cargo xtask fuzz safetensors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenure_fuzz::safetensors(bytes));
