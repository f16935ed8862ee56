use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let mut a = Array::<f64>::zeros([3])?;
    let reader = a.read()?;
    a.fill_(1.0)?;
    println!("{}", reader[[0]]);
    Ok(())
}
