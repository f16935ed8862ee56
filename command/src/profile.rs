//! A report as a profile for pprof: how much memory is held now, by the call site that made it.
//!
//! Contract: the samples together have all bytes of the report's arrays and raw blocks, and each group of equal call
//! site and labels is one sample. Any report gives a profile that pprof reads: texts have no character that a terminal
//! obeys, and the values of all samples together fit their type.

pub mod pprof;

use crate::snapshot::{Blocks, Pool, Snapshot, Store};
use crate::text::{printable, sum};
use pprof::{Function, Label, Line, Location, Profile, Sample, ValueType};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// The kinds of values of a sample, with their units. The first two have the names that Go's profiles of the heap use.
const VALUES: [(&str, &str); 3] = [("inuse_objects", "count"), ("inuse_space", "bytes"), ("spilled_space", "bytes")];
const DEFAULT_VALUE: &str = "inuse_space";

/// What a sample says besides its values. Empty: not known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    site: &'a str,
    pool: Option<u64>,
    pool_name: &'a str,
    device: &'a str,
    client: &'a str,
    kind: &'static str,
}

/// What is held: arrays and raw blocks, their bytes in memory and in files.
#[derive(Clone, Copy, Default)]
pub struct Held {
    pub objects: u64,
    pub bytes: u64,
    pub spilled_bytes: u64,
}

impl Held {
    fn add(&mut self, other: Held) {
        self.objects = self.objects.saturating_add(other.objects);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.spilled_bytes = self.spilled_bytes.saturating_add(other.spilled_bytes);
    }
}

/// The profile of a report.
pub fn of(report: &Snapshot) -> Profile {
    let pools: HashMap<u64, &Pool> = report.pools.iter().map(|pool| (pool.id, pool)).collect();
    let pool = |id: Option<u64>| id.and_then(|id| pools.get(&id).copied());
    let stores = report.stores.iter().map(|store| of_store(store, pool(store.pool)));
    let more = report.more_stores.iter().map(|group| of_blocks(group, pool(group.pool), "array"));
    let blocks = report.blocks.iter().map(|group| of_blocks(group, pool(group.pool), "raw block"));
    let mut groups: BTreeMap<Key<'_>, Held> = BTreeMap::new();
    for (key, held) in stores.chain(more).chain(blocks) {
        groups.entry(key).or_default().add(held);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, held)| Reverse(held.bytes));

    let mut profile = Building::default();
    profile.texts.number("");
    let types =
        VALUES.map(|(name, unit)| ValueType { r#type: profile.texts.number(name), unit: profile.texts.number(unit) });
    let samples = groups.iter().map(|(key, held)| profile.sample(key, held)).collect();
    Profile {
        sample_type: types.to_vec(),
        sample: samples,
        location: profile.locations,
        function: profile.functions,
        time_nanos: i64::try_from(report.time_ns).unwrap_or(0),
        comment: vec![
            profile.texts.number(&format!("Memory that process {} holds, by tenure profile", report.process)),
        ],
        default_sample_type: profile.texts.number(DEFAULT_VALUE),
        string_table: profile.texts.table,
    }
}

fn of_store<'a>(store: &'a Store, pool: Option<&'a Pool>) -> (Key<'a>, Held) {
    let has = |flag: &str| store.flags.iter().any(|own| own == flag);
    let kind = match (has("file"), has("foreign")) {
        (true, _) => "mapped file",
        (_, true) => "imported array",
        _ => "array",
    };
    // Arrays and promises are listed newest first, and the oldest one made the bytes. Guards and exports use them.
    let made = |kind: &str| !kind.starts_with("guard_") && !kind.starts_with("export_");
    let maker = store.holders.iter().rfind(|holder| made(&holder.kind));
    let key = Key {
        site: maker.map_or("", |holder| &holder.site),
        pool: store.pool,
        pool_name: pool.map_or("", |pool| &pool.name),
        device: &store.device,
        client: "arrays",
        kind,
    };
    let (bytes, spilled_bytes) = if has("spilled") { (0, store.bytes) } else { (store.bytes, 0) };
    (key, Held { objects: 1, bytes, spilled_bytes })
}

fn of_blocks<'a>(group: &'a Blocks, pool: Option<&'a Pool>, kind: &'static str) -> (Key<'a>, Held) {
    let key = Key {
        site: &group.site,
        pool: group.pool,
        pool_name: pool.map_or("", |pool| &pool.name),
        device: pool.map_or("", |pool| &pool.device),
        client: &group.client,
        kind,
    };
    (key, Held { objects: group.blocks, bytes: group.bytes, spilled_bytes: 0 })
}

/// The parts of a profile that samples refer to by number.
#[derive(Default)]
struct Building {
    texts: Texts,
    locations: Vec<Location>,
    functions: Vec<Function>,
    places: HashMap<String, u64>,
    /// The sums of the values so far: pprof adds them up.
    total: [u64; VALUES.len()],
}

impl Building {
    fn sample(&mut self, key: &Key<'_>, held: &Held) -> Sample {
        let mut value = [held.objects, held.bytes, held.spilled_bytes];
        for (own, total) in value.iter_mut().zip(&mut self.total) {
            *own = (*own).min(i64::MAX as u64 - *total);
            *total += *own;
        }
        let pool_id = key.pool.map_or(String::new(), |id| id.to_string());
        let labels = [
            ("pool", key.pool_name),
            ("pool_id", &pool_id),
            ("device", key.device),
            ("client", key.client),
            ("kind", key.kind),
        ];
        let known = labels.iter().filter(|(_, text)| !text.is_empty());
        Sample {
            location_id: vec![self.location(key)],
            value: value.map(|value| value as i64).to_vec(),
            label: known
                .map(|(name, text)| Label { key: self.texts.number(name), str: self.texts.number(text) })
                .collect(),
        }
    }

    /// The location of a call site. Each is a function, so that viewers list them by themselves.
    fn location(&mut self, key: &Key<'_>) -> u64 {
        let name = match key.site {
            "" => format!("(no call site, {})", key.client),
            site => site.to_owned(),
        };
        if let Some(&id) = self.places.get(&name) {
            return id;
        }
        let id = self.locations.len() as u64 + 1;
        let (file, line) = file_and_line(key.site);
        self.functions.push(Function { id, name: self.texts.number(&name), filename: self.texts.number(file) });
        self.locations.push(Location { id, line: vec![Line { function_id: id, line }] });
        self.places.insert(name, id);
        id
    }
}

/// "step.py:41" as file and line; a text of another form has neither.
fn file_and_line(site: &str) -> (&str, i64) {
    let parts = site.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse::<u32>().ok()?.into())));
    parts.unwrap_or_default()
}

/// The table of strings.
#[derive(Default)]
struct Texts {
    table: Vec<String>,
    numbers: HashMap<String, i64>,
}

impl Texts {
    /// The number of a text, as it may be printed.
    fn number(&mut self, text: &str) -> i64 {
        let text = printable(text);
        if let Some(&number) = self.numbers.get(text.as_ref()) {
            return number;
        }
        let number = self.table.len() as i64;
        self.table.push(text.clone().into_owned());
        self.numbers.insert(text.into_owned(), number);
        number
    }
}

/// What all samples hold together.
pub fn total(profile: &Profile) -> Held {
    let of = |value: usize| sum(&profile.sample, |sample| sample.value[value] as u64);
    Held { objects: of(0), bytes: of(1), spilled_bytes: of(2) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;
    use crate::snapshot::tests::{answers, rounds};
    use proptest::prelude::*;
    use prost::Message;
    use tenure::names::is_obeyed;

    proptest! {
        #![proptest_config(rounds())]

        /// CO-54: any answer gives a profile whose numbers all refer to something, whose values can be added up, and
        /// whose texts have no character that a terminal obeys.
        #[test]
        fn co_54_any_answer_gives_a_profile(answer in answers()) {
            let Ok(report) = snapshot::parse(&answer, "the answer") else { return Ok(()) };
            let profile = of(&report);
            prop_assert_eq!(&Profile::decode(profile.encode_to_vec().as_slice()).unwrap(), &profile);
            prop_assert_eq!(&profile.string_table[0], "");
            prop_assert!(!profile.string_table.iter().any(|text| text.contains(is_obeyed)));
            let is_text = |number: i64| (0..profile.string_table.len() as i64).contains(&number);
            for sample in &profile.sample {
                prop_assert!(sample.location_id.iter().all(|id| profile.location.iter().any(|location| location.id == *id)));
                prop_assert!(sample.label.iter().all(|label| is_text(label.key) && is_text(label.str)));
                prop_assert!(sample.value.len() == VALUES.len() && sample.value.iter().all(|value| *value >= 0));
            }
            for location in &profile.location {
                let id = location.line[0].function_id;
                let function = profile.function.iter().find(|function| function.id == id).unwrap();
                prop_assert!(is_text(function.name) && function.name > 0 && is_text(function.filename));
            }
            for value in 0..VALUES.len() {
                let total = profile.sample.iter().try_fold(0_i64, |total, sample| total.checked_add(sample.value[value]));
                prop_assert!(total.is_some());
            }
            let held = sum(&report.stores, |store| store.bytes)
                .saturating_add(sum(report.more_stores.iter().chain(&report.blocks), |group| group.bytes));
            let Held { bytes, spilled_bytes, .. } = total(&profile);
            prop_assert_eq!(bytes.saturating_add(spilled_bytes), held.min(i64::MAX as u64));
        }
    }

    #[test]
    fn sites_have_a_file_and_a_line() {
        let expected = [
            ("step.py:41", ("step.py", 41)),
            ("a:b.c:7", ("a:b.c", 7)),
            ("", ("", 0)),
            ("(more call sites than the library records)", ("", 0)),
            ("step.py:-1", ("", 0)),
            ("step.py:99999999999", ("", 0)),
        ];
        for (site, parts) in expected {
            assert_eq!(file_and_line(site), parts, "{site}");
        }
    }
}
