//! Blocks grouped by pool, client and call site.
//!
//! Contract: works without memory, with fewer groups. The groups are those of the first blocks; what does not fit is
//! one group without pool and site.
#![forbid(unsafe_code)]

use super::json::Json;
use crate::pool::{self, Client};
use crate::sites::Site;
use smallvec::SmallVec;

/// Number of groups without memory.
const PART: usize = 32;

/// Blocks of one pool, client and call site.
#[derive(Clone, Copy)]
struct Group {
    pool: u64,
    client: Client,
    site: u32,
    blocks: u64,
    bytes: u64,
    largest: u64,
    largest_at: u64,
}

impl Group {
    const NONE: Group = Group { pool: 0, client: Client::RAW, site: 0, blocks: 0, bytes: 0, largest: 0, largest_at: 0 };

    fn is_of(&self, key: Key) -> bool {
        (self.pool, self.client, self.site) == key
    }

    fn add(&mut self, start: u64, bytes: u64) {
        self.include(&Group { blocks: 1, bytes, largest: bytes, largest_at: start, ..Group::NONE });
    }

    fn include(&mut self, other: &Group) {
        (self.blocks, self.bytes) = (self.blocks + other.blocks, self.bytes + other.bytes);
        if other.largest > self.largest {
            (self.largest, self.largest_at) = (other.largest, other.largest_at);
        }
    }

    fn write(&self, json: &mut Json<'_>) {
        json.open('{');
        match self.pool {
            0 => json.null("pool"),
            pool => json.number("pool", pool),
        }
        // Arrays may lie in no pool; otherwise this is the rest.
        let is_rest = self.pool == 0 && self.client != Client::ARRAYS;
        json.text("client", if is_rest { "any" } else { self.client.name() });
        json.text("site", Site::from_number(self.site).name().as_str());
        json.number("blocks", self.blocks);
        json.number("bytes", self.bytes);
        json.number("largest_bytes", self.largest);
        json.bits("largest_address", self.largest_at);
        json.close('}');
    }
}

/// The key of a group: pool (0: none), client, call site.
type Key = (u64, Client, u32);

/// Number of groups if there is memory for them; a power of two.
const GROUPS: usize = 4096;
/// Number of entries that a search visits before the group counts as not fitting.
const PROBES: usize = 32;

/// Groups, and one more without pool and site for what has no room in them.
pub(super) struct Groups {
    groups: SmallVec<[Group; PART]>,
    rest: Group,
}

impl Groups {
    pub(super) fn new() -> Groups {
        let mut groups: SmallVec<[Group; PART]> = SmallVec::new();
        let _ = groups.try_reserve_exact(GROUPS);
        let length = if groups.capacity() >= GROUPS { GROUPS } else { PART };
        groups.resize(length, Group::NONE);
        Groups { groups, rest: Group::NONE }
    }

    /// Adds a block.
    pub(super) fn add(&mut self, key: Key, start: u64, bytes: u64) {
        match find(&self.groups, key) {
            Some(at) => {
                let group = &mut self.groups[at];
                (group.pool, group.client, group.site) = key;
                group.add(start, bytes);
            }
            None => self.rest.add(start, bytes),
        }
    }

    /// Writes the `most` largest groups, then the rest as one.
    pub(super) fn write(mut self, json: &mut Json<'_>, most: usize) {
        self.groups.sort_unstable_by_key(|group| core::cmp::Reverse((group.bytes, group.blocks)));
        let (listed, left) = self.groups.split_at(most.min(self.groups.len()));
        left.iter().for_each(|group| self.rest.include(group));
        listed.iter().chain([&self.rest]).filter(|group| group.blocks > 0).for_each(|group| group.write(json));
    }
}

/// Writes raw blocks grouped by pool, client and call site, because programs that allocate through another library have
/// very many.
pub(super) fn write_raw_blocks(json: &mut Json<'_>, most: usize) {
    let mut groups = Groups::new();
    pool::each_block(|block| {
        if block.owner == 0 {
            let key = (block.pool.serial(), block.client, block.site);
            groups.add(key, block.start as u64, block.usable as u64);
        }
    });
    groups.write(json, most);
}

/// The group of a key, or a free entry for it.
fn find(groups: &[Group], key: Key) -> Option<usize> {
    let (pool, client, site) = key;
    let mixed =
        (pool << 40 ^ (client.index() as u64) << 32 ^ u64::from(site)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    (0..PROBES.min(groups.len()))
        .map(|probe| (mixed as usize + probe) % groups.len())
        .find(|at| groups[*at].blocks == 0 || groups[*at].is_of(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_as_long_as_there_is_room() {
        let mut groups = [Group::NONE; PART];
        let key = |number: u32| (7, if number.is_multiple_of(2) { Client::RAW } else { Client::NUMPY }, number / 2);
        for number in 0..PART as u32 {
            let at = find(&groups, key(number)).expect("there is room");
            assert_eq!(groups[at].blocks, 0, "a place of its own");
            let (pool, client, site) = key(number);
            groups[at] = Group { pool, client, site, blocks: 1, ..Group::NONE };
        }
        assert!((0..PART as u32).all(|number| groups[find(&groups, key(number)).unwrap()].is_of(key(number))));
        assert!(find(&groups, key(40)).is_none() && find(&groups, (8, Client::RAW, 0)).is_none());
    }
}
