use tenure_rs::{Array, Device};

fn main() -> tenure_rs::Result<()> {
    let a = Array::<f64>::zeros([3])?;
    let gpu = Device::cuda(0)?;
    let there = a.to_device(&gpu)?;
    println!("{} {there}", a.sum(None)?);
    Ok(())
}
