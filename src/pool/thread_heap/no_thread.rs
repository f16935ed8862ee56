//! The records of threads that have none: what they find behind the gate has nothing.
//!
//! Contract: the thread-local pointer of `sys::tls`, which this file defines, leads to the first of them from the start.
//! So a fast path on such a thread goes wrong like one without a free block, with no test of its own.

use super::handle_cache::CLOSED;
use crate::thread::Thread;
use core::arch::global_asm;

/// A thread that has no record yet; and one of the preload library that has left its record for good.
static NO_THREAD: [Thread; 2] = [const { Thread::of_none((&raw const CLOSED).cast_mut().cast()) }; 2];

// Hidden: each copy of the library has its own.
global_asm!(
    ".pushsection .tdata.tenure_record,\"awT\",@progbits",
    ".p2align 3",
    ".hidden tenure_record_of_thread",
    ".globl tenure_record_of_thread",
    ".type tenure_record_of_thread, @object",
    ".size tenure_record_of_thread, 8",
    "tenure_record_of_thread:",
    ".quad {no_thread}",
    ".popsection",
    no_thread = sym NO_THREAD,
);
