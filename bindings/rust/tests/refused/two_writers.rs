use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let mut a = Array::<f64>::zeros([3])?;
    let mut first = a.write()?;
    let mut second = a.write()?;
    first[[0]] = 1.0;
    second[[0]] = 2.0;
    Ok(())
}
