use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let a = Array::<f64>::zeros([3])?;
    let guard = a.read()?;
    let promise = a.give()?;
    println!("{:?}", guard.as_slice()?);
    drop(promise);
    Ok(())
}
