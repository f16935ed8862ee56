//! The background thread: gives memory back that has decayed, while no call does.
//!
//! Contract: exists only on request, by the option `background` or by `TENURE_BACKGROUND=1` (`load`). It is one thread,
//! which takes no signal and looks ten times a second. It holds a pool's lock as shortly as any other call. The
//! callbacks of an upstream run on it, too. Set to 0, the option ends the thread within its next pause. The child of a
//! fork has no such thread, and can set the option itself. The library stays loaded from the start of the thread on.
#![forbid(unsafe_code)]

use crate::boundary;
use crate::error::Result;
use crate::options;
use crate::pool;
use crate::sys::os;
use crate::thread;
use core::sync::atomic::{AtomicBool, Ordering};

/// Time between two looks. What decays halves every 250 ms.
const PAUSE_US: u32 = 100_000;

/// Whether the thread exists. It clears this as the last thing that it does.
static EXISTS: AtomicBool = AtomicBool::new(false);

/// Starts the thread if the option asks for it. A failure turns the option off.
pub fn follow_option() -> Result<()> {
    if !options::background() || EXISTS.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    // The thread runs this code after the call.
    os::pin_library();
    thread::on_fork_child(after_fork);
    thread::start("the option background", run).inspect_err(|_| after_fork())
}

/// Sets the option and starts the thread.
pub fn start() -> Result<()> {
    options::set_background(true);
    follow_option()
}

/// There is no thread, and nobody asks for one.
fn after_fork() {
    options::set_background(false);
    EXISTS.store(false, Ordering::Release);
}

fn run() {
    os::name_thread(c"tenure-memory");
    loop {
        while options::background() {
            os::sleep_us(PAUSE_US);
            boundary::answer("background", (), || {
                // The first time, this makes the thread known, as a call from outside does. Without memory for that, it
                // comes next time.
                if thread::try_current().is_some() {
                    while options::background() && pool::give_back_decayed() {}
                }
                Ok(())
            });
        }
        EXISTS.store(false, Ordering::Release);
        // The option may have been set again before the store: then no other thread was started.
        if !options::background() || EXISTS.swap(true, Ordering::AcqRel) {
            return;
        }
    }
}
