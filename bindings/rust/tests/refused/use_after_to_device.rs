use tenure_rs::{Array, Device};

fn main() -> tenure_rs::Result<()> {
    let a = Array::<f64>::zeros([3])?;
    let there = a.to_device(Device::Cuda(0))?;
    println!("{:?} {:?}", a.shape(), there.shape());
    Ok(())
}
