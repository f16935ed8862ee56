//! `cargo xtask fuzz descriptors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenure_fuzz::descriptors(bytes));
