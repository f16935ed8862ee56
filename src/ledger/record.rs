//! Records: what ended guards leave on a store. The region that a failed writer left undefined, and work of a device that goes on.
//!
//! A record is the slot of the guard that it was, with the region that it pinned, so that leaving one needs no memory. One of device work
//! has a point, after which it counts no more and is swept when its ledger is next looked at; a poisoned region may have one too. Nothing
//! here asks a driver: under the lock a point has passed if that is known already, and what is not known goes out in [`Points`], to be
//! asked or waited for under no lock.

use super::{Claim, Class, Guard, Lease, Ledger, Locked};
use crate::error::Result;
use crate::region;
use crate::slots::{Slot, State};
use crate::stream::{Point, Queue};
use crate::types::{TN_CUDA, TN_CUDA_MANAGED, TN_ERR_UNSUPPORTED, tn_device};
use smallvec::SmallVec;

/// When bytes are going to be touched.
#[derive(Clone, Copy, Default, Debug)]
pub struct Order {
    /// In the order of this queue; None: by the host, now.
    pub queue: Option<&'static Queue>,
    /// The host waits for unfinished device work, in place of TN_ERR_PENDING.
    pub wait: bool,
}

impl Order {
    /// The host, now.
    pub const HOST: Order = Order { queue: None, wait: false };

    /// In the order of a queue.
    pub fn on(queue: &'static Queue) -> Order {
        Order { queue: Some(queue), wait: false }
    }

    /// The same, where the host waits for work that is in the way.
    pub fn waiting(self, wait: bool) -> Order {
        Order { wait, ..self }
    }
}

/// A point behind all that was issued on a queue so far. Has an event, unless the queue is capturing a graph: then whoever asks later records one.
pub fn point_behind(queue: &'static Queue) -> Result<Point> {
    match queue.record_point() {
        Err(status) if status.code() == TN_ERR_UNSUPPORTED => Ok(queue.now()),
        outcome => outcome,
    }
}

/// Whether memory of a device goes with the GPU of a point, when that is lost: then nobody is told what the bytes are anyhow.
fn is_of(device: tn_device, point: Point) -> bool {
    matches!(device.r#type, TN_CUDA | TN_CUDA_MANAGED) && device.id == point.queue().device().id
}

/// Whether a lost GPU left work unfinished in memory that does not go with it: nobody knows what the bytes are.
pub(super) fn leaves_unknown(device: tn_device, point: Point) -> bool {
    point.is_lost() && !is_of(device, point)
}

/// Unfinished work that is in the way of something, found under a lock: of each queue the last. What does not fit is found again.
#[derive(Default)]
pub struct Points {
    list: [Option<Wanted>; Points::ROOM],
    length: usize,
    /// What queues were made to wait for already: nothing else remembers all of it.
    done: SmallVec<[Wanted; 4]>,
}

#[derive(Clone, Copy)]
struct Wanted {
    point: Point,
    /// Who has to be after it; None: the host.
    by: Option<&'static Queue>,
}

impl Points {
    const ROOM: usize = 8;

    /// Whether nothing is in the way.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The work before `point` is in the way of a queue, or of the host.
    pub fn add(&mut self, point: Point, by: Option<&'static Queue>) {
        let alike = |wanted: &Wanted| wanted.by == by && wanted.point.queue() == point.queue();
        if self.done.iter().any(|done| alike(done) && done.point.tick() >= point.tick()) {
            return;
        }
        if let Some(wanted) = self.list.iter_mut().flatten().find(|wanted| alike(wanted)) {
            if point.tick() > wanted.point.tick() {
                wanted.point = point;
            }
            return;
        }
        let wanted = Some(Wanted { point, by });
        if let Some(place) = self.list.get_mut(self.length) {
            *place = wanted;
            self.length += 1;
        } else if by.is_none() && self.wanted().all(|wanted| wanted.by.is_some()) {
            // Who has to be refused for it must be able to ask for it.
            self.list[0] = wanted;
        }
    }

    /// Adds all of another list.
    pub fn join(&mut self, other: &Points) {
        for wanted in other.wanted() {
            self.add(wanted.point, wanted.by);
        }
    }

    fn wanted(&self) -> impl Iterator<Item = Wanted> {
        self.list.into_iter().flatten()
    }

    /// Whether all that the host would wait for has passed, by now. Asks the driver, never waits; under no lock.
    pub fn have_passed(&self) -> bool {
        // All are asked, so that what has passed is known when the records are looked at again.
        let mut all = true;
        for wanted in self.wanted().filter(|wanted| wanted.by.is_none()) {
            all &= wanted.point.poll();
        }
        all
    }

    /// Lets queues wait on their device, and the host here; the list is empty then. Under no lock.
    pub fn wait(&mut self) -> Result<()> {
        super::reserve(&mut self.done, self.length)?;
        self.length = 0;
        for wanted in core::mem::take(&mut self.list).into_iter().flatten() {
            match wanted.by {
                Some(queue) => queue.wait_for(wanted.point)?,
                None => wanted.point.wait()?,
            }
            self.done.push(wanted);
        }
        Ok(())
    }

    /// Forgets what was found, to look again.
    pub fn clear(&mut self) {
        self.list = Default::default();
        self.length = 0;
    }
}

impl Locked {
    /// The records of a store.
    fn records(&self, ledger: &'static Ledger) -> impl Iterator<Item = &'static Guard> {
        core::iter::successors(self.books(ledger).record_list, |record| self.get(*record).next)
    }

    /// The same for a loop that takes records away: the one at `at`, which moves on to the next first.
    fn take_next(&self, at: &mut Option<&'static Guard>) -> Option<&'static Guard> {
        let record = (*at)?;
        *at = self.get(record).next;
        Some(record)
    }

    /// A closed guard becomes a record; it keeps the region's pin.
    pub(super) fn record(&mut self, guard: &'static Guard, poisons: bool, point: Option<Point>) {
        let ledger = self.ledger_of(guard);
        guard.head().make_stale(State::Kept);
        let body = self.get(guard);
        let (owner, region) = (body.owner(), body.region());
        let class = match body.class {
            _ if poisons => Class::Poison,
            Class::Read | Class::ExportRead => Class::WorkRead,
            _ => Class::WorkWrite,
        };
        if !core::ptr::eq(owner, region) {
            // The handle may be released or move to a copy; what stays is the part's own slot, by the handle's name.
            let name = self.get(owner).name;
            self.get_mut(region).name = name;
        }
        let first = self.books(ledger).record_list;
        let body = self.get_mut(guard);
        body.class = class;
        body.owner = Some(region);
        body.group = None;
        body.frozen = false;
        body.point = point;
        body.previous = None;
        body.next = first;
        if let Some(first) = first {
            self.get_mut(first).previous = Some(guard);
        }
        let books = self.books_mut(ledger);
        books.record_list = Some(guard);
        books.records += 1;
        books.poisoned += u32::from(poisons);
        books.works += u32::from(point.is_some());
        if let Some(point) = point
            && books.works > 1
        {
            self.absorb(ledger, guard, point);
        }
    }

    /// Forgets the work that a new record says all about: whoever has to be after the old one has to be after the new one too, and that is
    /// after the old one.
    fn absorb(&mut self, ledger: &'static Ledger, new: &'static Guard, point: Point) {
        let (class, region) = (self.get(new).class, self.get(new).region());
        let mut at = self.books(ledger).record_list;
        while let Some(record) = self.take_next(&mut at) {
            if core::ptr::eq(record, new) {
                continue;
            }
            let body = self.get(record);
            let (Some(earlier), old) = (body.point, body.region()) else { continue };
            // Ends come here in another order than their points: one that was taken earlier says nothing of a later one. And another GPU may be
            // lost before its work is done, which nothing on this one makes good.
            if earlier.tick() > point.tick() || point.queue().device() != earlier.queue().device() {
                continue;
            }
            // A reader is in the way of writers only, and so says nothing about a writer.
            let says = match (class, body.class) {
                (Class::WorkWrite, Class::WorkRead | Class::WorkWrite) => point.queue().follows(earlier),
                (Class::WorkRead, Class::WorkRead) => core::ptr::eq(point.queue(), earlier.queue()),
                _ => false,
            };
            let within = || core::ptr::eq(old, region) || region::contains(self.region(region), self.region(old));
            if says && within() {
                self.forget(record);
            }
        }
    }

    /// Takes a record away: its region is not poisoned any more, or its work has passed.
    fn forget(&mut self, record: &'static Guard) {
        let ledger = self.ledger_of(record);
        let body = self.get(record);
        let (previous, next, region) = (body.previous, body.next, body.region());
        let (poisons, works) = (body.class == Class::Poison, body.point.is_some());
        match previous {
            Some(previous) => self.get_mut(previous).next = next,
            None => self.books_mut(ledger).record_list = next,
        }
        if let Some(next) = next {
            self.get_mut(next).previous = previous;
        }
        let books = self.books_mut(ledger);
        books.records -= 1;
        books.poisoned -= u32::from(poisons);
        books.works -= u32::from(works);
        self.free_guard(record);
        if works {
            self.relax(region);
        }
        self.unpin(region);
    }

    /// Forgets the work that is known to have passed. What waited for nothing else ends with it.
    pub fn sweep(&mut self, ledger: &'static Ledger) {
        if self.books(ledger).works > 0 {
            self.sweep_all(ledger);
        }
    }

    #[cold]
    fn sweep_all(&mut self, ledger: &'static Ledger) {
        let mut at = self.books(ledger).record_list;
        while let Some(record) = self.take_next(&mut at) {
            let body = self.get(record);
            let Some(point) = body.point.filter(|point| point.is_passed()) else { continue };
            let (class, region) = (body.class, body.region());
            let unknown = class == Class::WorkWrite && leaves_unknown(self.books(ledger).device, point);
            if unknown {
                // What a lost device did not finish there others would read, and nobody knows what it is.
                self.get_mut(record).class = Class::Poison;
                self.books_mut(ledger).poisoned += 1;
            }
            if unknown || class == Class::Poison {
                self.get_mut(record).point = None;
                self.books_mut(ledger).works -= 1;
                self.relax(region);
            } else {
                self.forget(record);
            }
        }
        self.settle(ledger);
    }

    /// All records of a store that ends: poison goes, and unfinished work is noted for whoever gets the bytes.
    pub(super) fn bury_records(&mut self, ledger: &'static Ledger) {
        while let Some(record) = self.books(ledger).record_list {
            let Some(point) = self.get(record).point.filter(|point| !point.is_passed()) else {
                self.forget(record);
                continue;
            };
            // The slot stays for the point, as long as the chain is.
            let body = self.get_mut(record);
            let (next, poisons, region) = (body.next, body.class == Class::Poison, body.region());
            body.region = None;
            body.owner = None;
            body.point = Some(point);
            if let Some(next) = next {
                self.get_mut(next).previous = None;
            }
            let books = self.books_mut(ledger);
            books.record_list = next;
            books.records -= 1;
            books.poisoned -= u32::from(poisons);
            books.works -= 1;
            let chain = books.due.replace(record);
            self.get_mut(record).next = chain;
            self.relax(region);
            self.unpin(region);
        }
    }

    /// Removes the poisoned regions that the region of `writer` contains.
    pub(super) fn heal(&mut self, writer: &'static Claim) {
        let ledger = self.ledger_of(writer);
        let mut at = self.books(ledger).record_list;
        while let Some(record) = self.take_next(&mut at) {
            let body = self.get(record);
            let poisons = body.class == Class::Poison;
            if !poisons || !region::contains(self.region(writer), self.region(body.region())) {
                continue;
            }
            if body.point.is_some() {
                // What the failed writer put into its queue goes on all the same.
                self.get_mut(record).class = Class::WorkWrite;
                self.books_mut(ledger).poisoned -= 1;
            } else {
                self.forget(record);
            }
        }
    }

    /// Calls `visit` with the records of the store that overlap the claim's region.
    pub fn each_record_over(&self, claim: &'static Claim, mut visit: impl FnMut(&'static Guard)) {
        for record in self.records(self.ledger_of(claim)) {
            if !region::disjoint(self.region(self.get(record).region()), self.region(claim)) {
                visit(record);
            }
        }
    }

    /// Whether a poisoned region overlaps the claim's; who left it.
    pub fn poison_over(&self, claim: &'static Claim) -> Option<&'static Guard> {
        let mut found = None;
        self.each_record_over(claim, |record| {
            if found.is_none() && self.get(record).class == Class::Poison {
                found = Some(record);
            }
        });
        found
    }

    /// The device work of a record that matters to a reader or writer: readers do not mind one another.
    fn work_before(&self, record: &'static Guard, writing: bool) -> Option<Point> {
        let body = self.get(record);
        body.point.filter(|_| writing || body.class != Class::WorkRead)
    }

    /// The device work of a record that is in the way of a reader or writer in this order: not passed, as far as is known, nor before it anyhow.
    pub fn in_the_way(&self, record: &'static Guard, writing: bool, order: Order) -> Option<Point> {
        let point = self.work_before(record, writing)?;
        let ordered = match order.queue {
            Some(queue) => queue.follows(point),
            None => point.is_passed(),
        };
        (!ordered).then_some(point)
    }

    /// The unfinished work on a claim's region that a reader or writer has to be after, as the host.
    pub fn work_over(&self, claim: &'static Claim, writing: bool) -> Points {
        let mut points = Points::default();
        if self.books(self.ledger_of(claim)).works > 0 {
            self.each_record_over(claim, |record| {
                if let Some(point) = self.in_the_way(record, writing, Order::HOST) {
                    points.add(point, None);
                }
            });
        }
        points
    }

    /// Of the work that a reader or writer would wait for: some that its device, which is lost, did not finish.
    pub fn lost_over(&self, claim: &'static Claim, writing: bool) -> Option<Point> {
        let mut lost = None;
        if self.books(self.ledger_of(claim)).works > 0 {
            self.each_record_over(claim, |record| {
                lost = lost.or(self.work_before(record, writing).filter(|point| point.is_lost()));
            });
        }
        lost
    }

    /// Whether unfinished work lies on the layout of this very claim.
    pub(super) fn has_work(&self, claim: &'static Claim) -> bool {
        let ledger = self.ledger_of(claim);
        let is_work = |record: &'static Guard| {
            let body = self.get(record);
            body.point.is_some() && core::ptr::eq(body.region(), claim)
        };
        self.books(ledger).works > 0 && self.records(ledger).any(is_work)
    }

    /// The unfinished work of a store: all, or what keeps an import.
    pub(super) fn work_of(&self, ledger: &'static Ledger, import: Option<&'static Lease>) -> Points {
        let keeps = |region: &'static Claim| {
            import.is_none_or(|lease| self.lease(region).is_some_and(|of| core::ptr::eq(of, lease)))
        };
        let mut points = Points::default();
        for record in self.records(ledger) {
            let body = self.get(record);
            if let Some(point) = body.point
                && keeps(body.region())
            {
                points.add(point, None);
            }
        }
        points
    }
}
