//! Runs one piece of work: under the lock on this thread, or outside it on a thread for host functions and kernels.

use super::fault::inject_fault;
use crate::base::config;
use crate::base::status::*;
use crate::base::thread::{only_callbacks, spawn};
use crate::base::types::Handle;
use crate::state::graph::random_order;
use crate::state::signals::{JOBS, PROGRESS};
use crate::state::stream::Op;
use crate::state::work::{Job, Work};
use crate::state::world::{self, World};
use parking_lot::MutexGuard;
use std::time::{Duration, Instant};

impl World {
    /// Runs, or starts, the first piece of work in a stream's queue.
    pub fn run_head(&mut self, handle: Handle) {
        let Some(stream) = self.streams.get_mut(&handle) else { return };
        let context = stream.context;
        let Some(Op { seq, work, label, .. }) = stream.queue.pop_front() else { return };
        if stream.queue.is_empty() {
            self.busy.remove(&handle);
        }
        if config::is_tracing() {
            eprintln!("cuda-sim:     {label}, number {seq} of stream {handle:#x}");
        }
        let usable = self.check_usable(context).is_ok();
        let injected = if usable { inject_fault(self) } else { Ok(()) };
        let parts = match work {
            Work::Graph(nodes) => random_order(&nodes, &mut self.random),
            single => vec![(label, single)],
        };
        if injected.is_ok() && parts.iter().any(|(_, part)| matches!(part, Work::Outside(_))) {
            self.hand_over(Job { stream: handle, context, seq, work: parts });
            return;
        }
        let (mut answer, mut at) = (injected, label);
        for (label, part) in parts {
            if answer.is_ok()
                && usable
                && let Work::Inside(run) = part
            {
                (answer, at) = (run(&mut self.machine, context), label);
            }
        }
        self.finish(handle, context, seq, at, answer);
    }

    /// A piece of work has ended: the stream has completed it, and an error loses the context.
    fn finish(&mut self, handle: Handle, context: Handle, seq: u64, label: &'static str, answer: Answer) {
        self.statistics.executed += 1;
        if let Some(stream) = self.streams.get_mut(&handle) {
            stream.completed = stream.completed.max(seq);
            stream.running = false;
            if stream.slow > Duration::ZERO {
                stream.free_at = Instant::now() + stream.slow;
            }
            if stream.destroyed && stream.is_idle() {
                self.streams.remove(&handle);
            }
        }
        if let Err(code) = answer {
            self.statistics.last_failure = label;
            self.lose_context(context, code);
        }
        PROGRESS.notify_all();
    }

    fn hand_over(&mut self, job: Job) {
        if let Some(stream) = self.streams.get_mut(&job.stream) {
            stream.running = true;
        }
        self.jobs.waiting.push_back(job);
        if self.jobs.waiting.len() > self.jobs.idle_threads {
            spawn(run_jobs);
        }
        JOBS.notify_one();
    }
}

/// The body of a thread that runs host functions and kernels.
fn run_jobs() {
    only_callbacks();
    let mut world = world::lock();
    while !world::has_ended() {
        let Some(job) = world.jobs.waiting.pop_front() else {
            world.jobs.idle_threads += 1;
            JOBS.wait(&mut world);
            world.jobs.idle_threads -= 1;
            continue;
        };
        let (mut answer, mut at) = (Ok(()), "");
        for (label, part) in job.work {
            let status = world.check_usable(job.context).err().unwrap_or(SUCCESS);
            let result = match part {
                Work::Inside(run) if answer.is_ok() && status == SUCCESS => run(&mut world.machine, job.context),
                Work::Outside(run) => MutexGuard::unlocked(&mut world, || run(status)),
                _ => Ok(()),
            };
            if answer.is_ok() {
                (answer, at) = (result, label);
            }
        }
        world.finish(job.stream, job.context, job.seq, at, answer);
    }
}
