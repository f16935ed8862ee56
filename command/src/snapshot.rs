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
pub struct Stats {
    pub in_use_bytes: u64,
    pub reserved_bytes: u64,
    pub peak_in_use_bytes: u64,
    pub limit_bytes: u64,
    pub allocation_count: u64,
    pub oom_count: u64,
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
