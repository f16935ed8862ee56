use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let a = Array::<f64>::zeros([3])?;
    let mut reader = a.read()?;
    reader[[0]] = 1.0;
    Ok(())
}
