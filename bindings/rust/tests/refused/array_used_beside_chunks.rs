use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let mut a = Array::<f64>::zeros([4])?;
    let mut parts = a.split_mut(0, 2)?;
    println!("{}", a.sum(None)?);
    parts[0].part[[0]] = 1.0;
    Ok(())
}
