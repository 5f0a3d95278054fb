//! Types that several expressions have in common.

use super::*;

fn known(logical: &str) -> Found {
    Found::Known(Some(logical.to_string()))
}

#[test]
fn several_types_have_one_in_common() {
    let check = |all: &[Found], expected: Option<&str>| {
        assert_eq!(common(all.iter().cloned()).as_deref(), expected, "{all:?}");
    };
    check(&[Found::Open, known("name")], Some("name"));
    check(&[known("name"), known("name")], Some("name"));
    check(&[known("name"), Found::Known(None)], Some("name"));
    check(&[Found::Known(None), known("name")], None);
    check(&[known("varchar(3)"), Found::Known(None)], Some("varchar"));
    check(&[known("varchar(3)"), known("varchar(9)")], Some("varchar"));
    check(&[known("varchar"), known("name"), Found::Known(None)], Some("name"));
    check(&[known("char"), Found::Known(None)], None);
    check(&[known("oid"), Found::Number], Some("oid"));
    check(&[known("numeric"), Found::Number], Some("numeric"));
    check(&[known("decimal"), Found::Number], Some("decimal"));
    check(&[known("int2"), Found::Number], None);
    check(&[Found::Open, Found::Open], None);
}

#[test]
fn arrays_have_elements_and_elements_have_arrays() {
    assert_eq!(array(Some("name")).as_deref(), Some("_name"));
    assert_eq!(array(Some("varchar(10)")).as_deref(), Some("_varchar"));
    for (name, inner) in [("_name", "name"), ("oid[]", "oid"), ("int2vector", "int2")] {
        assert_eq!(element(Some(name), &DataType::Null).as_deref(), Some(inner), "{name}");
    }
}
