//! A Rust program that uses a Tenure pool as its heap: the pool's statistics include it, and every address has an owner.

use tenure::pool;
use tenure::types::{TN_CLIENT_RUST, TN_CPU, tn_device};

#[global_allocator]
static HEAP: tenure::PoolAllocator = tenure::PoolAllocator;

fn main() {
    let table: Vec<[f64; 128]> = vec![[0.0; 128]; 1000];
    let block = pool::locate(table.as_ptr() as usize).expect("the pool knows every address that it allocated");
    println!(
        "{} bytes of client \"{}\" in pool \"{}\"",
        block.requested,
        block.client.name(),
        block.pool.name().as_str()
    );

    let host = pool::default(tn_device { r#type: TN_CPU, id: 0 }).expect("the host's pool");
    let mut before = 0;
    host.each_client(|client| before += client.live_bytes * u64::from(client.client == TN_CLIENT_RUST));
    drop(table);
    let mut after = 0;
    host.each_client(|client| after += client.live_bytes * u64::from(client.client == TN_CLIENT_RUST));
    println!("given back: {} KiB", (before - after) >> 10);
}

/* It prints:
1024000 bytes of client "rust" in pool "default"
given back: 1000 KiB
*/
