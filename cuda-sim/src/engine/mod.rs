//! When queued work runs.
//!
//! Contract: the order within a stream, dependencies on events, and the legacy stream's rules hold, and nothing else
//! does. Which stream goes on next is drawn from the seed; ranks of streams change now and then, so one stream may
//! starve while another races ahead. Work runs on callers' threads as their calls pass through the driver, so that one
//! thread and one seed give one order. After idle time it runs on the device's own thread. Host functions, and kernels
//! that may wait, run outside the lock on threads of their own.

pub mod capture;
pub mod fault;
pub mod queue;
pub mod run;
pub mod start;
pub mod step;
pub mod worker;
