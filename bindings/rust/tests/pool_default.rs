//! The default pool of the process, which no other test may change meanwhile.

use tenure_rs::{Array, Device, Pool};

#[test]
fn an_enabled_pool_serves_all_threads() {
    let pool = Pool::configure().name("enabled").initial_size(1 << 20).growth_factor(1.5).enable().unwrap();
    let a = std::thread::spawn(|| Array::<f64>::zeros([100]).unwrap()).join().unwrap();
    assert_eq!(pool.stats().unwrap().live_blocks, 1);
    Pool::disable_all().unwrap();
    let b = Array::<f64>::zeros([100]).unwrap();
    assert_eq!(pool.stats().unwrap().live_blocks, 1);
    drop((a, b));
    assert_eq!(pool.stats().unwrap().live_blocks, 0);
    assert!(Pool::current(Device::Host).is_ok());
}
