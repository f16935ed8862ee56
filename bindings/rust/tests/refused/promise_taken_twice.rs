use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let promise = Array::<f64>::zeros([3])?.give()?;
    let a = promise.take()?;
    let b = promise.take()?;
    println!("{a:?} {b:?}");
    Ok(())
}
