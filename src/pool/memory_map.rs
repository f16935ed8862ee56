//! A map of a pool's memory: segments, their spans, and the blocks in them, by address.
//!
//! Contract: the number of runs is bounded, however many spans a pool has. Adjacent spans that are alike are one run;
//! beyond the bound, small spans that are not alike are one run too. Takes no lock and allocates nothing. Each span is
//! of some moment of the call, and the sums of a run are those of its spans.

use crate::pool::client::{CLIENTS, Client};
use crate::pool::lookup::{self, Located, SpanBlocks, SpanInfo};
use crate::pool::{Pool, Segment};

/// Adjacent spans.
#[derive(Clone, Copy)]
pub struct Run {
    /// Length in bytes.
    pub bytes: usize,
    /// Number of spans.
    pub spans: usize,
    /// Usable bytes of each block; 0: the spans are free, or have blocks of several sizes.
    pub block_bytes: usize,
    /// Most blocks that the spans can hold.
    pub blocks: usize,
    /// Live blocks.
    pub live: usize,
    /// Usable bytes of the live blocks.
    pub live_bytes: usize,
    /// The part of `live_bytes` of each client.
    pub clients: [usize; CLIENTS],
    /// The block, if the run is one large live block.
    pub block: Option<Located>,
    /// The span, if the run is one span of small blocks.
    cells: Option<SpanBlocks>,
}

/// A part of the map, in the order of addresses.
pub enum MapPart<'a> {
    /// A segment begins at this address.
    Begin(usize),
    /// Its next run.
    Run(&'a Run),
    /// It ends.
    End(&'a Segment),
}

impl Run {
    fn of(info: &SpanInfo, blocks: &SpanBlocks) -> Run {
        let mut run = Run {
            bytes: info.bytes,
            spans: 1,
            block_bytes: info.block_bytes,
            blocks: info.blocks,
            live: 0,
            live_bytes: 0,
            clients: [0; CLIENTS],
            block: None,
            cells: None,
        };
        blocks.each(|_, block| {
            run.live += 1;
            run.clients[block.client.index().min(CLIENTS - 1)] += block.usable;
            run.block = Some(*block);
        });
        run.live_bytes = run.clients.iter().sum();
        if info.class.is_some() {
            run.block = None;
            run.cells = Some(*blocks);
        }
        run
    }

    /// Every block is live and of one client, or none is live.
    fn is_uniform(&self) -> bool {
        self.live == 0 || self.live == self.blocks && self.clients.contains(&self.live_bytes)
    }

    /// Both have blocks of one size that look the same, so that one run loses nothing.
    fn is_like(&self, next: &Run) -> bool {
        let full = |run: &Run| run.clients.map(|bytes| bytes > 0);
        let small = self.block.is_none() && next.block.is_none();
        let equal = self.block_bytes == next.block_bytes && (self.live > 0) == (next.live > 0);
        small && equal && self.is_uniform() && next.is_uniform() && full(self) == full(next)
    }

    fn add(&mut self, next: &Run) {
        if self.block_bytes != next.block_bytes {
            self.block_bytes = 0;
        }
        self.bytes += next.bytes;
        self.spans += next.spans;
        self.blocks += next.blocks;
        self.live += next.live;
        self.live_bytes += next.live_bytes;
        self.clients.iter_mut().zip(next.clients).for_each(|(to, from)| *to += from);
        (self.block, self.cells) = (None, None);
    }

    /// Whether [`Run::each_cells`] has something to say.
    pub fn has_cells(&self) -> bool {
        self.cells.is_some() && !self.is_uniform()
    }

    /// The blocks of a run that is one span of small blocks, as adjacent blocks that are alike: `f(client, count)`, no
    /// client for blocks that are not live.
    pub fn each_cells(&self, mut f: impl FnMut(Option<Client>, usize)) {
        let Some(blocks) = &self.cells else { return };
        let (mut of, mut count, mut done) = (None, 0, 0);
        let mut next = |client: Option<Client>, blocks: usize| {
            if client != of && count > 0 {
                f(of, core::mem::take(&mut count));
            }
            (of, count) = (client, count + blocks);
        };
        blocks.each(|index, block| {
            if index > done {
                next(None, index - done);
            }
            next(Some(block.client), 1);
            done = index + 1;
        });
        if self.blocks > done {
            next(None, self.blocks - done);
        }
        if count > 0 {
            f(of, count);
        }
    }
}

/// Collects runs of one pool and passes them on.
struct Writer<F> {
    f: F,
    /// Spans up to this length together are one run, alike or not.
    grain: usize,
    run: Option<Run>,
    segment: Option<Segment>,
}

impl<F: FnMut(MapPart<'_>)> Writer<F> {
    fn add(&mut self, info: &SpanInfo, next: Run) {
        let follows = self.segment.as_ref().is_some_and(|segment| segment.start + segment.bytes == info.start);
        if !follows {
            self.end();
            (self.f)(MapPart::Begin(info.start));
        }
        let empty = Segment { start: info.start, bytes: 0, spans: 0, live_blocks: 0, live_bytes: 0 };
        let segment = self.segment.get_or_insert(empty);
        segment.bytes += next.bytes;
        segment.spans += 1;
        segment.live_blocks += next.live;
        segment.live_bytes += next.live_bytes;
        match &mut self.run {
            Some(run) if run.is_like(&next) || run.bytes.saturating_add(next.bytes) <= self.grain => run.add(&next),
            run => {
                if let Some(run) = run.replace(next) {
                    (self.f)(MapPart::Run(&run));
                }
            }
        }
    }

    fn end(&mut self) {
        if let Some(run) = self.run.take() {
            (self.f)(MapPart::Run(&run));
        }
        if let Some(segment) = self.segment.take() {
            (self.f)(MapPart::End(&segment));
        }
    }
}

impl Pool {
    /// Calls `f` with the pool's memory by address: at most about twice `runs` runs, and one for each segment.
    pub fn each_run(&'static self, runs: usize, f: impl FnMut(MapPart<'_>)) {
        let (mut spans, mut bytes) = (0, 0);
        lookup::each_span_with_blocks(self, |info, _| (spans, bytes) = (spans + 1, bytes + info.bytes));
        let grain = if spans > runs { bytes / runs.max(1) } else { 0 };
        let mut writer = Writer { f, grain, run: None, segment: None };
        lookup::each_span_with_blocks(self, |info, blocks| writer.add(info, Run::of(info, blocks)));
        writer.end();
    }

    /// Calls `f` with the pool's memory as runs of adjacent spans, by address. Each span is of some moment of the call.
    pub fn each_segment(&'static self, mut f: impl FnMut(&Segment)) {
        self.each_run(usize::MAX, |part| {
            if let MapPart::End(segment) = part {
                f(segment);
            }
        });
    }
}
