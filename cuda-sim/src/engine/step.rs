//! Chooses which stream goes on, and how much work a passing call lets run.
#![forbid(unsafe_code)]

use crate::base::config::Pace;
use crate::base::types::Handle;
use crate::memory::shared::EventSlot;
use crate::state::point::{Dependency, Point};
use crate::state::world::World;
use std::time::{Duration, Instant};

impl World {
    /// A call passes through the driver: perhaps some work runs.
    pub fn make_progress(&mut self, poll: bool) {
        if self.busy.is_empty() {
            return;
        }
        self.last_call = Instant::now();
        let chance = match self.config.pace {
            Pace::Manual => return,
            Pace::Eager => {
                while self.step() {}
                return;
            }
            Pace::Lazy => u32::from(poll) * 64,
            Pace::Random if poll => self.progress_chance.max(64),
            Pace::Random => self.progress_chance.max(2),
        };
        if self.random.chance(chance) {
            for _ in 0..1 + self.random.below(3) {
                self.step();
            }
        }
    }

    /// Runs or starts one piece of work; false when none may run now.
    pub fn step(&mut self) -> bool {
        if self.busy.len() > 1 && self.random.chance(48) {
            let nth = self.busy.len();
            let nth = self.random.below(nth);
            let rank = self.random.next();
            if let Some(stream) = self.busy.iter().nth(nth).copied().and_then(|stream| self.streams.get_mut(&stream)) {
                stream.rank = rank;
            }
        }
        let ready = self.busy.iter().copied().filter(|stream| self.is_ready(*stream));
        let Some(chosen) = ready.max_by_key(|stream| self.streams.get(stream).map(|stream| stream.rank)) else {
            return false;
        };
        self.run_head(chosen);
        true
    }

    /// Whether the first piece of work of a stream may run.
    fn is_ready(&self, stream: Handle) -> bool {
        let Some(stream) = self.streams.get(&stream) else { return false };
        let Some(head) = stream.queue.front() else { return false };
        let lost = self.contexts.get(&stream.context).is_none_or(|context| context.lost.is_some());
        let slow = stream.slow > Duration::ZERO && Instant::now() < stream.free_at;
        // The work of a lost context waits for nothing.
        let may_run = || !stream.held && !slow && head.after.iter().all(|dependency| self.is_met(dependency));
        !stream.running && (lost || may_run())
    }

    /// Whether the work up to `point` is done. A stream that no longer exists has done all of its work.
    pub fn is_reached(&self, point: Point) -> bool {
        self.streams.get(&point.stream).is_none_or(|stream| stream.completed >= point.seq)
    }

    pub fn is_met(&self, dependency: &Dependency) -> bool {
        match *dependency {
            Dependency::Point(point) => self.is_reached(point),
            Dependency::Shared(slot, record) => EventSlot::at(slot).has_passed(record),
        }
    }

    /// How long a waiting thread sleeps when nothing can run. Other threads wake it; a slow stream becomes ready by
    /// itself.
    pub fn pause(&self) -> Duration {
        let slow = self.streams.values().any(|stream| stream.slow > Duration::ZERO);
        Duration::from_micros(if slow { 200 } else { 5000 })
    }

    /// The unfinished work of each stream, and why it does not run: for a call that has waited long.
    pub fn describe_pending(&self) -> String {
        let mut text = String::new();
        for (handle, stream) in self.streams.iter().filter(|(_, stream)| !stream.is_idle()) {
            let why = match stream.queue.front() {
                _ if stream.running => "a host function or kernel is running",
                _ if stream.held => "a test holds it",
                Some(head) if !head.after.iter().all(|before| self.is_met(before)) => "it waits for another stream",
                _ => "it could run",
            };
            let next = stream.queue.front().map_or("nothing", |head| head.label);
            let queued = stream.queue.len();
            text += &format!("stream {handle:#x} has {queued} queued, next is {next}, {why}; ");
        }
        if text.is_empty() { "no stream has work".to_owned() } else { text }
    }
}
