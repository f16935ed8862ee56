//! Everything that asks the operating system: the only modules with system calls.

pub mod sync;

pub mod os;

pub mod lock;

pub mod file;

pub mod cpu;

pub mod bytes;
