use tenure_rs::{Array, Ref};

fn first() -> tenure_rs::Result<Ref<'static, f64>> {
    let a = Array::<f64>::zeros([3])?;
    a.read()
}

fn main() {
    let _ = first();
}
