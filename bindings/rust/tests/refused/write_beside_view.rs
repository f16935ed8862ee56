use tenure_rs::Tensor;

fn main() -> tenure_rs::Result<()> {
    let mut t = Tensor::<f64>::ones([2, 2])?;
    let view = t.read()?;
    let first = view.as_slice()?;
    t.write()?[[0, 0]] = 2.0;
    println!("{first:?}");
    Ok(())
}
