//! Tensors in the manner of Rust: who owns, who borrows, what moves, and which line copies. `tensors.c` does it in C.

use tenure_rs::{Device, MemoryPool, Mode, Result, Tensor, copies};

fn main() -> Result<()> {
    let _pool = MemoryPool::configure().initial_size(1 << 20).growth_factor(2.0).enable()?;
    let mut t = Tensor::new(&[2, 2], vec![1.0, 2.0, 3.0, 4.0])?; // of the vector's memory
    println!("{t}, sum {}", t.sum(None)?.item()?);

    let view = t.view()?; // another handle on the same bytes
    t.fill_(0.5)?;
    println!("the view sees {view}");

    let reader = view.read()?; // until it ends, nobody writes these bytes
    println!("{:?}", t.write().unwrap_err().status());
    drop(reader);

    t.write_as(Mode::CopyOnWrite)?[[0, 1]] = 9.0; // the view keeps its bytes, and t gets a copy
    println!("written {t}, view {view}");

    let mut moved = t.to_device(Device::cpu())?; // to use t now does not compile; on its own device, nothing is copied
    moved.write_as(Mode::Unique)?[[1, 0]] = 7.0;
    println!("moved {moved}, rows {}", moved.chunks(1)?.len());

    for made in copies()? {
        println!("{} x {}: {} bytes", made.count, made.function, made.bytes);
    }
    assert_eq!(copies()?.iter().map(|made| made.count).sum::<u64>(), 1);
    Ok(())
}
/* It prints:
[[1, 2], [3, 4]], sum 10
the view sees [[0.5, 0.5], [0.5, 0.5]]
TN_ERR_BORROWED
written [[0.5, 9], [0.5, 0.5]], view [[0.5, 0.5], [0.5, 0.5]]
moved [[0.5, 9], [7, 0.5]], rows 2
1 x tn_array_borrow_write: 32 bytes
*/
