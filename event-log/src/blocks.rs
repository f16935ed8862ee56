//! Blocks of memory, from their allocation to their end.
//!
//! Contract: live blocks never overlap. Where a log lacks a free, the block ends when its memory is allocated again.

use crate::{Event, Kind, Log};
use std::collections::BTreeMap;

/// A block of memory.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// Its first byte.
    pub address: u64,
    /// Its requested size; of a block from before the log, what its free says.
    pub bytes: u64,
    /// The pool's serial number; 0: not known.
    pub pool: u64,
    /// Who allocated it, as in [`Event::client`].
    pub client: u8,
    /// Where it was allocated, as in [`Event::site`].
    pub site: u32,
    /// The stream for which it was allocated.
    pub stream: u64,
    /// The array that was first seen in it; 0: none.
    pub array: u64,
    /// The first name that an array in it got.
    pub name: Option<&'a str>,
    /// The event that allocated it, as an index; `None`: it is older than the log.
    pub begin: Option<usize>,
}

/// The beginning or the end of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The index of the event that caused it.
    pub event: usize,
    /// The index of the block.
    pub block: usize,
    /// Whether the block begins.
    pub begins: bool,
}

/// All blocks of a log.
#[derive(Clone, Debug, Default)]
pub struct Blocks<'a> {
    /// In the order in which they were first seen.
    pub blocks: Vec<Block<'a>>,
    /// In the order of their events.
    pub changes: Vec<Change>,
    /// Indices of the blocks that are live at the end, by their addresses.
    pub live: BTreeMap<u64, usize>,
}

impl<'a> Blocks<'a> {
    /// The blocks of a log.
    pub fn of(log: &'a Log) -> Blocks<'a> {
        let mut blocks = Blocks::default();
        for (index, event) in log.events.iter().enumerate() {
            match event.kind {
                Kind::Allocate if event.address != 0 => blocks.begin(index, event),
                Kind::Free => blocks.end(index, event, event.address, event.bytes),
                Kind::Reallocate if event.address != 0 => {
                    blocks.end(index, event, event.other, 0);
                    blocks.begin(index, event);
                }
                Kind::Allocate | Kind::Reallocate | Kind::Copy | Kind::Transfer => (),
                _ => blocks.note_array(event),
            }
        }
        blocks
    }

    fn begin(&mut self, index: usize, event: &Event) {
        let end = event.address.saturating_add(event.bytes.max(1));
        while let Some((&address, &block)) = self.live.range(..end).next_back()
            && (address == event.address || address.saturating_add(self.blocks[block].bytes) > event.address)
        {
            self.live.remove(&address);
            self.changes.push(Change { event: index, block, begins: false });
        }
        let block = self.add(event, event.address, Some(index));
        self.live.insert(event.address, block);
        self.changes.push(Change { event: index, block, begins: true });
    }

    /// The end of the block at `address`. A block that is not known is older than the log; without a size it counts for
    /// nothing.
    fn end(&mut self, index: usize, event: &Event, address: u64, bytes: u64) {
        let block = match self.live.remove(&address) {
            Some(block) => block,
            None if bytes > 0 && address != 0 => self.add(event, address, None),
            None => return,
        };
        self.changes.push(Change { event: index, block, begins: false });
    }

    fn add(&mut self, event: &Event, address: u64, begin: Option<usize>) -> usize {
        let Event { bytes, pool, client, site, .. } = *event;
        let stream = if event.kind == Kind::Reallocate { 0 } else { event.stream };
        self.blocks.push(Block { address, bytes, pool, client, site, stream, array: 0, name: None, begin });
        self.blocks.len() - 1
    }

    /// Notes which array is in the block at the event's address.
    fn note_array(&mut self, event: &'a Event) {
        let Some((&address, &block)) = self.live.range(..=event.address).next_back() else { return };
        let block = &mut self.blocks[block];
        if event.subject != 0 && event.address - address < block.bytes.max(1) {
            block.array = if block.array == 0 { event.subject } else { block.array };
            block.name = block.name.or(event.text.as_deref().filter(|name| !name.is_empty()));
        }
    }
}
