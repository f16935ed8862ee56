use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let mut a = Array::<f64>::zeros([3])?;
    let promise = a.give()?;
    a.fill_(1.0)?;
    drop(promise);
    Ok(())
}
