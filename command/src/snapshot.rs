//! A report as types: the fields of `docs/report.schema.json` that the commands use. Other fields are ignored.

use crate::Failure;
use serde::Deserialize;

/// The version of the format that this program reads.
const SCHEMA: u64 = 1;

#[derive(Deserialize, Clone, Default)]
pub struct Snapshot {
    pub version: Vec<u64>,
    pub process: u64,
    pub time_ns: u64,
    pub libraries: Vec<Library>,
    pub pools: Vec<Pool>,
    pub stores: Vec<Store>,
    #[serde(default)]
    pub more_stores: Vec<Blocks>,
    pub blocks: Vec<Blocks>,
    #[serde(default)]
    pub shared_out: Vec<SharedOut>,
    #[serde(default)]
    pub shared_in: Vec<SharedIn>,
    pub open: Vec<Holder>,
    pub copies: Vec<Copies>,
}

#[derive(Deserialize, Clone)]
pub struct Library {
    pub path: String,
    pub version: Vec<u64>,
    pub first_generation: Option<String>,
    pub this: bool,
}

#[derive(Deserialize, Clone)]
pub struct Pool {
    pub id: u64,
    pub name: String,
    pub device: String,
    pub released: bool,
    pub stats: Stats,
    pub clients: Vec<Client>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
pub struct Stats {
    pub requested_bytes: u64,
    pub in_use_bytes: u64,
    pub cached_bytes: u64,
    pub pending_bytes: u64,
    pub reserved_bytes: u64,
    pub peak_in_use_bytes: u64,
    pub limit_bytes: u64,
    pub spilled_bytes: u64,
    pub spill_count: u64,
    pub unspill_count: u64,
    pub allocation_count: u64,
    pub deallocation_count: u64,
    pub failure_count: u64,
    pub device_allocate_count: u64,
    pub oom_count: u64,
    pub misuse_count: u64,
}

#[derive(Deserialize, Clone)]
pub struct Client {
    pub name: String,
    pub live_blocks: u64,
    pub live_bytes: u64,
    pub peak_bytes: u64,
    pub misuse_count: u64,
}

#[derive(Deserialize, Clone)]
pub struct Store {
    pub address: String,
    pub bytes: u64,
    pub device: String,
    pub pool: Option<u64>,
    pub imports: u64,
    pub flags: Vec<String>,
    pub holders: Vec<Holder>,
}

#[derive(Deserialize, Clone)]
pub struct Holder {
    pub kind: String,
    pub name: String,
    pub site: String,
    pub time_ns: u64,
}

#[derive(Deserialize, Clone)]
pub struct Blocks {
    pub pool: Option<u64>,
    pub client: String,
    pub site: String,
    pub blocks: u64,
    pub bytes: u64,
}

#[derive(Deserialize, Clone)]
pub struct SharedOut {
    pub device: String,
    pub bytes: u64,
    pub name: String,
    pub importers: Vec<u64>,
}

#[derive(Deserialize, Clone)]
pub struct SharedIn {
    pub bytes: u64,
    pub writable: bool,
    pub process: u64,
    pub running: Option<bool>,
}

#[derive(Deserialize, Clone)]
pub struct Copies {
    pub function: String,
    pub site: String,
    pub why: Vec<String>,
    pub forced: bool,
    pub count: u64,
    pub bytes: u64,
}

/// Reads the text of a report; `from` says where it is from.
pub fn parse(text: &[u8], from: &str) -> Result<Snapshot, Failure> {
    #[derive(Deserialize)]
    struct Head {
        schema: u64,
    }
    let wrong = |error: serde_json::Error| {
        let why = if error.is_eof() { "it was cut off; try again".to_owned() } else { error.to_string() };
        format!("{from} is no report of Tenure (tn_report_json): {why}")
    };
    match serde_json::from_slice(text).map_err(wrong)? {
        Head { schema: SCHEMA } => serde_json::from_slice(text).map_err(wrong),
        Head { schema } => Err(format!(
            "{from} is a report of format {schema}; this program reads format {SCHEMA}: use the tenure of that version"
        )),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// One of everything, as a process sends it.
    const SEED: &str = r#"{"schema":1,"version":[0,1,0],"process":7,"time_ns":1700000000000000000,
        "libraries":[{"path":"/a/libtenure.so.0","version":[0,1,0],"first_generation":"0x1","this":true}],
        "pools":[{"id":1,"name":"default","device":"cpu","released":false,"stats":{"in_use_bytes":4096,"reserved_bytes":8192,
            "peak_in_use_bytes":4096,"limit_bytes":65536,"allocation_count":3,"oom_count":1},
            "clients":[{"name":"arrays","live_blocks":1,"live_bytes":4096,"peak_bytes":4096,"misuse_count":1}]}],
        "stores":[{"address":"0x7f0000000000","bytes":4096,"device":"cpu","pool":1,"imports":0,"flags":["poisoned"],
            "holders":[{"kind":"handle","name":"weights","site":"step.py:41","time_ns":1700000000000000000}]}],
        "blocks":[{"pool":1,"client":"malloc","site":"","blocks":2,"bytes":128}],
        "shared_out":[{"device":"cpu","bytes":4096,"name":"frame","importers":[8]}],
        "shared_in":[{"bytes":4096,"writable":true,"process":9,"running":null}],
        "open":[{"kind":"promise","name":"p","site":"a.c:1","time_ns":1}],
        "copies":[{"function":"tn_shared_get","site":"a.c:2","why":["SHARED"],"forced":true,"count":3,"bytes":96}]}"#;

    /// What a value, chosen by its number, is replaced with.
    fn replacements() -> [Value; 12] {
        let text = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}</script>\n\u{7f}".repeat(40);
        [
            0.into(),
            u64::MAX.into(),
            (u64::MAX / 2).into(),
            (-1).into(),
            1e300.into(),
            true.into(),
            Value::Null,
            "".into(),
            text.into(),
            Value::Array(vec![]),
            serde_json::json!({}),
            serde_json::json!([[[]]]),
        ]
    }

    fn replace(value: &mut Value, left: &mut usize, with: &Value) {
        if *left == 0 {
            *value = with.clone();
        }
        *left = left.wrapping_sub(1);
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, left, with)),
            Value::Object(fields) => fields.values_mut().for_each(|item| replace(item, left, with)),
            _ => {}
        }
    }

    /// Answers of a process that lies: values replaced, lists repeated, and bytes changed.
    pub fn answers() -> impl Strategy<Value = Vec<u8>> {
        let replaced = proptest::collection::vec((0_usize..90, 0_usize..12), 0..4);
        let changed = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
        (replaced, changed, 1_usize..4).prop_map(|(replaced, changed, times)| {
            let mut report: Value = serde_json::from_str(SEED).expect("the seed is JSON");
            for field in report.as_object_mut().expect("an object").values_mut() {
                if let Value::Array(items) = field {
                    *items = items.iter().cycle().take(items.len() * times).cloned().collect();
                }
            }
            for (mut place, with) in replaced {
                replace(&mut report, &mut place, &replacements()[with]);
            }
            let mut bytes = report.to_string().into_bytes();
            for (place, byte) in changed {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        })
    }

    /// The number of answers of a run: TENURE_FUZZ_ROUNDS.
    pub fn rounds() -> ProptestConfig {
        let rounds = std::env::var("TENURE_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
        ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(rounds.unwrap_or(2000)) }
    }

    #[test]
    fn the_seed_is_a_report() {
        parse(SEED.as_bytes(), "the seed").unwrap();
    }
}
