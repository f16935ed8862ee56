use tenure_rs::{Matrix, Operand};

fn main() -> tenure_rs::Result<()> {
    let sum = Matrix::<f64>::identity(3)? + Matrix::<f32>::identity(3)?;
    println!("{:?}", sum.compute()?);
    Ok(())
}
