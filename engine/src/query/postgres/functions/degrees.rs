//! Functions of angles in degrees. As in PostgreSQL they are exact where the angle is a multiple of what is known: `sind(30)` is
//! 0.5.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::arrow::error::ArrowError;
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::{Body, Call, Function, Kind};

const fn of_one(name: &'static str, body: Body) -> Function {
    Function::new(name, &[Kind::Float], "float8", body).with(Volatility::Immutable)
}

pub(super) const FUNCTIONS: &[Function] = &[
    of_one("sind", Body::Column(|call| each(call, |x| of_angle(x, sind)))),
    of_one("cosd", Body::Column(|call| each(call, |x| of_angle(x, cosd)))),
    of_one("tand", Body::Column(|call| each(call, |x| of_angle(x, tand)))),
    of_one("cotd", Body::Column(|call| each(call, |x| of_angle(x, cotd)))),
    of_one("asind", Body::Column(|call| each(call, |x| of_ratio(x, asind)))),
    of_one("acosd", Body::Column(|call| each(call, |x| of_ratio(x, acosd)))),
    of_one("atand", Body::Column(|call| each(call, |x| Some(in_degrees(x.atan()))))),
    Function::new("atan2d", &[Kind::Float, Kind::Float], "float8", Body::Column(atan2d))
        .with(Volatility::Immutable),
];

/// The function of each number; none of one that is out of its range.
fn each(call: &Call<'_>, of: impl Fn(f64) -> Option<f64>) -> Result<ArrayRef> {
    let found: Float64Array = call.arguments[0].as_primitive::<Float64Type>().try_unary(|x| {
        of(x).ok_or_else(|| ArrowError::ArithmeticOverflow("input is out of range".into()))
    })?;
    Ok(Arc::new(found))
}

fn atan2d(call: &Call<'_>) -> Result<ArrayRef> {
    let of = |at: usize| call.arguments[at].as_primitive::<Float64Type>();
    let (y, x) = (of(0), of(1));
    let each = (0..call.rows).map(|row| {
        let given = y.is_valid(row) && x.is_valid(row);
        given.then(|| in_degrees(y.value(row).atan2(x.value(row))))
    });
    Ok(Arc::new(each.collect::<Float64Array>()))
}

/// An angle in degrees, of which 45 are exact.
fn in_degrees(angle: f64) -> f64 {
    angle / 1_f64.atan() * 45.0
}

fn of_angle(x: f64, of: fn(f64) -> f64) -> Option<f64> {
    (!x.is_infinite()).then(|| if x.is_nan() { x } else { of(x) })
}

fn of_ratio(x: f64, of: fn(f64) -> f64) -> Option<f64> {
    (x.is_nan() || (-1.0..=1.0).contains(&x)).then(|| if x.is_nan() { x } else { of(x) })
}

/// The sine of 0 to 30 degrees.
fn sine_to_30(x: f64) -> f64 {
    x.to_radians().sin() / 30_f64.to_radians().sin() / 2.0
}

/// The cosine of 0 to 60 degrees.
fn cosine_to_60(x: f64) -> f64 {
    1.0 - (1.0 - x.to_radians().cos()) / (1.0 - 60_f64.to_radians().cos()) / 2.0
}

/// The sine of 0 to 90 degrees.
fn sine(x: f64) -> f64 {
    if x <= 30.0 { sine_to_30(x) } else { cosine_to_60(90.0 - x) }
}

/// The cosine of 0 to 90 degrees.
fn cosine(x: f64) -> f64 {
    if x <= 60.0 { cosine_to_60(x) } else { sine_to_30(90.0 - x) }
}

/// An angle as one of 0 to 90 degrees, and the signs of its sine and of its cosine.
fn first_quadrant(x: f64) -> (f64, f64, f64) {
    let (mut x, mut of_sine, mut of_cosine) = (x % 360.0, 1.0, 1.0);
    if x < 0.0 {
        (x, of_sine) = (-x, -of_sine);
    }
    if x > 180.0 {
        (x, of_sine) = (360.0 - x, -of_sine);
    }
    if x > 90.0 {
        (x, of_cosine) = (180.0 - x, -of_cosine);
    }
    (x, of_sine, of_cosine)
}

fn sind(x: f64) -> f64 {
    let (x, sign, _) = first_quadrant(x);
    sign * sine(x)
}

fn cosd(x: f64) -> f64 {
    let (x, _, sign) = first_quadrant(x);
    sign * cosine(x)
}

/// A quotient without the sign of a zero.
fn plain(quotient: f64) -> f64 {
    if quotient == 0.0 { 0.0 } else { quotient }
}

fn tand(x: f64) -> f64 {
    let (x, of_sine, of_cosine) = first_quadrant(x);
    plain(of_sine * of_cosine * (sine(x) / cosine(x) / (sine(45.0) / cosine(45.0))))
}

fn cotd(x: f64) -> f64 {
    let (x, of_sine, of_cosine) = first_quadrant(x);
    plain(of_sine * of_cosine * (cosine(x) / sine(x) / (cosine(45.0) / sine(45.0))))
}

/// The angle of a sine of 0 to 1.
fn arc_sine(x: f64) -> f64 {
    match x <= 0.5 {
        true => x.asin() / 0.5_f64.asin() * 30.0,
        false => 90.0 - x.acos() / 0.5_f64.acos() * 60.0,
    }
}

/// The angle of a cosine of 0 to 1.
fn arc_cosine(x: f64) -> f64 {
    match x <= 0.5 {
        true => 90.0 - x.asin() / 0.5_f64.asin() * 30.0,
        false => x.acos() / 0.5_f64.acos() * 60.0,
    }
}

fn asind(x: f64) -> f64 {
    if x >= 0.0 { arc_sine(x) } else { -arc_sine(-x) }
}

fn acosd(x: f64) -> f64 {
    if x >= 0.0 { arc_cosine(x) } else { 90.0 + arc_sine(-x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_angles_are_exact() {
        assert_eq!(
            [0.0, 30.0, 90.0, 150.0, 270.0, -30.0].map(sind),
            [0.0, 0.5, 1.0, 0.5, -1.0, -0.5]
        );
        assert_eq!(
            [0.0, 60.0, 90.0, 120.0, 180.0, 360.0].map(cosd),
            [1.0, 0.5, 0.0, -0.5, -1.0, 1.0]
        );
        assert_eq!([0.0, 45.0, 135.0, 180.0, 225.0].map(tand), [0.0, 1.0, -1.0, 0.0, 1.0]);
        assert_eq!([45.0, 90.0, 135.0].map(cotd), [1.0, 0.0, -1.0]);
        assert_eq!([0.0, 0.5, 1.0, -0.5].map(asind), [0.0, 30.0, 90.0, -30.0]);
        assert_eq!([1.0, 0.5, 0.0, -0.5, -1.0].map(acosd), [0.0, 60.0, 90.0, 120.0, 180.0]);
        assert_eq!(in_degrees(1_f64.atan()), 45.0);
        assert!(of_angle(f64::INFINITY, sind).is_none() && of_ratio(1.5, asind).is_none());
    }
}
