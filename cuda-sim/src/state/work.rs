//! Work: what a piece of it does, and the host functions and kernels that wait for a thread.

use super::machine::Machine;
use crate::base::status::Answer;
use crate::base::types::Handle;
use std::collections::VecDeque;
use std::sync::Arc;

/// Runs on the machine, in a context.
pub type Inside = Arc<dyn Fn(&mut Machine, Handle) -> Answer + Send + Sync>;
/// Runs outside of the lock, without the machine; its argument is the result code of its context.
pub type Outside = Arc<dyn Fn(u32) -> Answer + Send + Sync>;

/// What one piece of work does.
#[derive(Clone)]
pub enum Work {
    /// Nothing to run: only its position in the order matters.
    Nothing,
    /// Under the lock, in the context of its stream.
    Inside(Inside),
    /// Outside the lock, on a thread of its own.
    Outside(Outside),
    Graph(Arc<Vec<Node>>),
}

/// A piece of work in a graph.
#[derive(Clone)]
pub struct Node {
    /// For traces and error reports.
    pub label: &'static str,
    pub work: Work,
    /// The nodes that come before it.
    pub after: Vec<usize>,
}

/// A piece of work that needs a thread of its own, with its parts in order.
pub struct Job {
    pub stream: Handle,
    pub context: Handle,
    pub seq: u64,
    pub work: Vec<(&'static str, Work)>,
}

#[derive(Default)]
pub struct Jobs {
    pub waiting: VecDeque<Job>,
    pub idle_threads: usize,
    /// The device's own thread sleeps until it is woken. If false, it polls for work soon, and waking it would only
    /// cost time.
    pub worker_sleeps: bool,
}

impl Jobs {
    /// No jobs; the threads stay counted.
    pub fn without_jobs(&self) -> Jobs {
        Jobs { waiting: VecDeque::new(), idle_threads: self.idle_threads, worker_sleeps: self.worker_sleeps }
    }
}
