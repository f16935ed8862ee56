//! The operating system and the processor: the only modules with system calls.

pub mod sync;

pub mod os;

pub mod instructions;

pub mod ticks;

pub mod lock;

mod weak;

#[cfg(not(any(loom, preload)))]
pub mod race_detector;

mod cancellation;

mod quiet;

pub mod machine;

mod limits;

pub mod file;

#[cfg(not(preload))] // the preload library shares nothing
pub mod memory_file;

#[cfg(not(preload))] // the preload library shares nothing
pub mod file_lock;

#[cfg(not(preload))] // the preload library does not listen
pub mod local_socket;

#[cfg(not(preload))] // the preload library shares nothing
#[cfg_attr(loom, allow(dead_code))] // models share nothing
pub mod process;

#[cfg_attr(loom, allow(dead_code))] // models have thread records of their own
pub mod tls;

#[cfg(not(preload))] // the preload library checks nothing
#[cfg_attr(loom, allow(dead_code))] // models check nothing
pub mod page_access;

pub mod cpu;

pub mod bytes;

pub mod checker;

#[cfg(not(preload))] // the preload library looks for no other code
#[cfg_attr(loom, allow(dead_code))] // models look for no other code
pub mod objects;

#[cfg(not(preload))] // the preload library has no handles that a program sees
#[cfg_attr(loom, allow(dead_code))] // models look for no other copies
pub mod instances;
