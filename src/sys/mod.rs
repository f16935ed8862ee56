//! The operating system and the processor: the only modules with system calls.

pub mod sync;

pub mod os;

pub mod lock;

#[cfg(not(any(loom, preload)))]
pub mod race_detector;

pub mod file;

#[cfg_attr(loom, allow(dead_code))] // models have thread records of their own
pub mod tls;

pub mod cpu;

pub mod bytes;

pub mod checker;

#[cfg(not(preload))] // the preload library has no handles that a program sees
#[cfg_attr(loom, allow(dead_code))] // models look for no other copies
pub mod instances;
