use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let mut a = Array::<f64>::zeros([3])?;
    let mut writer = a.write()?;
    let reader = a.read()?;
    writer[[0]] = reader[[1]];
    Ok(())
}
