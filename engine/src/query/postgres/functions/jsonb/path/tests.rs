//! How paths are read, and where they lead.

use datafusion::common::DataFusionError;
use proptest::prelude::*;
use udfs::{Json, Keeping};

use super::items::{Fault, Looking};
use super::node::{Comparison, Node, Path, Place, Step};
use super::write;
use crate::Error;

fn member(name: &str) -> Step {
    Step::Member(name.to_owned())
}

#[test]
fn paths_are_read() {
    let path = Path::parse(r#" strict $.a."b c"[*][0, 2 to last - 1] "#).unwrap();
    assert!(path.strict);
    let places = vec![(Place::At(0), Place::At(0)), (Place::At(2), Place::BeforeLast(1))];
    let steps = vec![member("a"), member("b c"), Step::AnyElement, Step::Elements(places)];
    assert_eq!(path.top, Node::Steps(Box::new(Node::Root), steps));
    let path = Path::parse(r#"$[*]?(@.x>=-1.5&&!(@.y=="z")).n"#).unwrap();
    let of = |name| Box::new(Node::Steps(Box::new(Node::Current), vec![member(name)]));
    let number = Box::new(Node::Number("-1.5".to_owned()));
    let text = Box::new(Node::Text("z".to_owned()));
    let condition = Node::And(
        Box::new(Node::Compare(Comparison::GreaterOrEqual, of("x"), number)),
        Box::new(Node::Not(Box::new(Node::Compare(Comparison::Equal, of("y"), text)))),
    );
    let steps = vec![Step::AnyElement, Step::Filter(condition), member("n")];
    assert_eq!(path.top, Node::Steps(Box::new(Node::Root), steps));
}

#[test]
fn what_is_no_path_is_refused() {
    for (text, sqlstate) in [
        ("", "42601"),
        ("a", "42601"),
        ("$.", "42601"),
        ("$[", "42601"),
        ("$[1", "42601"),
        ("$.a ?", "42601"),
        ("$ ? (@.a)", "42601"),
        ("@.a", "42601"),
        ("$.a = 1", "42601"),
        ("$.a && $.b", "42601"),
        ("$.\"a", "42601"),
        ("$ $", "42601"),
        ("$.a +", "42601"),
        ("$ + (1 == 1)", "42601"),
        ("last", "42601"),
        ("$[1 == 1]", "42601"),
        ("$ ? (@.a[@.b] == 1)", "0A000"),
        ("$.**{", "42601"),
        ("$.**{x}", "42601"),
        ("$.a.datetime()", "0A000"),
        ("$ ? (@ like_regex $x)", "42601"),
        ("$ ? (@ like_regex \"a\" flag \"z\")", "42601"),
        ("$ ? (@ like_regex \"a\" flag \"x\")", "0A000"),
    ] {
        let DataFusionError::External(error) = Path::parse(text).unwrap_err() else {
            panic!("{text} is refused with a code")
        };
        assert_eq!(error.downcast_ref::<Error>().unwrap().sqlstate(), sqlstate, "{text}");
    }
    assert!(Path::parse(&"(".repeat(100_000)).is_err());
    assert!(Path::parse(&format!("{}1", "-".repeat(100_000))).is_err());
    assert!(Path::parse(&format!("1{}", " + 1".repeat(100_000))).is_err());
    assert!(Path::parse(&"$[".repeat(100_000)).is_err());
    assert!(Path::parse(&format!("{}1 == 1", "1 == 1 && ".repeat(100_000))).is_err());
    assert!(Path::parse(&format!("$ ? ({}", "@ ? (".repeat(100_000))).is_err());
}

/// What a path finds, or the SQLSTATE of what is wrong.
fn found(json: &str, path: &str, variables: &str) -> Vec<String> {
    let path = Path::parse(path).unwrap();
    let json = Json::parse(json, Keeping::Values).unwrap();
    let variables = Json::parse(variables, Keeping::Values).unwrap();
    match Looking::new(&path, json.root(), Some(variables.root())).items() {
        Ok(items) => {
            let written = items.into_iter().map(|item| {
                let mut text = String::new();
                write(item, &mut text).unwrap();
                text
            });
            written.collect()
        }
        Err(Fault::Path(sqlstate, _)) => vec![sqlstate.to_owned()],
        Err(Fault::Stop(error)) => panic!("{error}"),
    }
}

/// The expected values are those of PostgreSQL 15.
#[test]
fn paths_lead_where_they_do_in_postgres() {
    let shop = r#"{"items": [{"sku": "a1", "price": 5, "tags": ["x", "y"]}, {"sku": "b2", "price": 12.50}, {"sku": "b3"}], "open": true, "none": null}"#;
    for (json, path, expected) in [
        (shop, "$.open", vec!["true"]),
        (shop, "$.items[*].sku", vec![r#""a1""#, r#""b2""#, r#""b3""#]),
        (shop, "$.items.price", vec!["5", "12.50"]),
        (shop, "$.items[last].sku", vec![r#""b3""#]),
        (shop, "$.items[0, 1 to last].sku", vec![r#""a1""#, r#""b2""#, r#""b3""#]),
        (shop, "$.items[last - 1].sku", vec![r#""b2""#]),
        (shop, "$.items[7]", vec![]),
        (shop, "$.missing.more", vec![]),
        (shop, "$.items[*] ? (@.price > 10).sku", vec![r#""b2""#]),
        (shop, "$.items ? (@.price == 5.0).sku", vec![r#""a1""#]),
        (shop, r#"$.items[*] ? (@.tags == "y").sku"#, vec![r#""a1""#]),
        (shop, r#"$.items[*] ? (@.sku starts with "b" && exists(@.price)).sku"#, vec![r#""b2""#]),
        (shop, "$.items[*] ? (!exists(@.price)).sku", vec![r#""b3""#]),
        (shop, "$.items[*] ? (@.sku == $sku).price", vec!["12.50"]),
        (shop, "$.items[*] ? ((@.price > \"x\") is unknown).sku", vec![r#""a1""#, r#""b2""#]),
        (shop, "$.items.size()", vec!["3"]),
        (shop, "$.*.type()", vec![r#""null""#, r#""boolean""#, r#""array""#]),
        (shop, "$.none == null", vec!["true"]),
        (shop, "$.open == 1", vec!["null"]),
        (shop, "$.open != null", vec!["true"]),
        (shop, "$.items[*].price > 12", vec!["true"]),
        (shop, "$.none.x", vec![]),
        ("[1, 2, 3]", "$[*] ? (@ >= 2)", vec!["2", "3"]),
        ("[1, 2, 3]", "$ ? (@ >= 2 || @ == 1)", vec!["1", "2", "3"]),
        ("5", "$[*]", vec!["5"]),
        ("5", "$[0]", vec!["5"]),
        ("[[1], [2]]", "$[*]", vec!["[1]", "[2]"]),
        (shop, "strict $.missing", vec!["2203A"]),
        (shop, "strict $.items.price", vec!["2203A"]),
        (shop, "strict $.open[*]", vec!["22039"]),
        (shop, "strict $.items[7]", vec!["22033"]),
        (shop, "strict $.items[*] ? (@.price > 10).sku", vec![r#""b2""#]),
        (shop, "$.** ? (@ == \"x\")", vec![r#""x""#, r#""x""#]),
        (shop, "strict $.** ? (@ == \"x\")", vec![r#""x""#]),
        (shop, "strict $.**.sku", vec![r#""a1""#, r#""b2""#, r#""b3""#]),
        ("[1, [2, [3]], {\"a\": 4}]", "$.**{1}", vec!["1", "[2, [3]]", r#"{"a": 4}"#]),
        ("[1, [2, [3]], {\"a\": 4}]", "$.**{last}", vec!["1", "2", "3", "4"]),
        ("[1, [2, [3]]]", "$.**{2 to 3}", vec!["2", "[3]", "3"]),
        (shop, r#"$.items[*].sku ? (@ like_regex "^b")"#, vec![r#""b2""#, r#""b3""#]),
        (shop, r#"$.items[*].sku ? (@ like_regex "^B[2]" flag "i")"#, vec![r#""b2""#]),
        (shop, r#"$.items[*].sku ? (@ like_regex "b." flag "q")"#, vec![]),
        (shop, r#"$.items[*].price like_regex "5""#, vec!["null"]),
        (shop, "$.items[*].price + 1", vec!["22038"]),
        (shop, "$.items[0].price * 2 - 1", vec!["9"]),
        (shop, "-$.items[*].price", vec!["-5", "-12.50"]),
        (shop, "-$.items[*].sku", vec!["2203B"]),
        (shop, "$.items[1].price / 2", vec!["6.2500000000000000"]),
        (shop, "$.items[1].price % 5", vec!["2.50"]),
        (shop, "$.items[0].price / 0", vec!["22012"]),
        (shop, "$.items[*] ? (@.price * 2 > 10).sku", vec![r#""b2""#]),
        (shop, "$.items[*].price.floor()", vec!["5", "12"]),
        (shop, "$.items[$.items.size() - 1].sku", vec![r#""b3""#]),
        ("[1, 2, 3, 4]", "$[last / 2 to last]", vec!["2", "3", "4"]),
        ("[1, 2, 3, 4]", "$[$[0]]", vec!["2"]),
        ("[1, 2, 3, 4]", "$[$[*]]", vec!["22033"]),
        ("[1, 2, 3, 4]", "$[1e10]", vec!["22033"]),
        ("[1, 2, 3, 4]", "$[*] ? (@ % 2 == 0)", vec!["2", "4"]),
        ("[-1.50, -0.5, 2.1, 1e2]", "$.ceiling()", vec!["-1", "0", "3", "100"]),
        ("[-1.50, -0.5, 2.1]", "$.floor()", vec!["-2", "-1", "2"]),
        ("[-1.50, -0.5, 2.1]", "strict $.abs()", vec!["22036"]),
        (r#"["1.25e2", 3, "0.1"]"#, "$.double()", vec!["125", "3", "0.1"]),
        (r#"["x"]"#, "$.double()", vec!["22036"]),
        ("1", "2 + 3 * 4 - -(1 - 2)", vec!["13"]),
        ("1", "$ + 1 == 2", vec!["true"]),
    ] {
        assert_eq!(found(json, path, r#"{"sku": "b2"}"#), expected, "{path}");
    }
}

#[test]
fn a_variable_that_is_missing_is_missing_in_filters_too() {
    let json = Json::parse("[1]", Keeping::Values).unwrap();
    for path in ["$unknown", "$[*] ? (@ > $unknown)"] {
        let path = Path::parse(path).unwrap();
        let Err(Fault::Stop(DataFusionError::External(error))) =
            Looking::new(&path, json.root(), None).items()
        else {
            panic!("{path:?} fails with a code")
        };
        assert_eq!(error.downcast_ref::<Error>().unwrap().sqlstate(), "42704", "{path:?}");
    }
}

/// What a short path leads to may be long: it is written, and gone over, up to a bound.
#[test]
fn what_is_found_has_a_bound() {
    let places = "0,".repeat(10_000);
    let path = Path::parse(&format!("\"{}\"[{places}0]", "x".repeat(10_000))).unwrap();
    let json = Json::parse("{}", Keeping::Values).unwrap();
    let items = Looking::new(&path, json.root(), None).items().unwrap();
    assert_eq!(items.len(), 10_001);
    let mut text = String::new();
    assert!(items.into_iter().try_for_each(|item| write(item, &mut text)).is_err());
    let path = Path::parse("$[*] ? ($[0] == 2)").unwrap();
    let many = format!("[{}1]", "1,".repeat(10_000));
    let json = Json::parse(&many, Keeping::Values).unwrap();
    let found = Looking::new(&path, json.root(), None).items();
    assert!(matches!(found, Err(Fault::Stop(_))));
}

proptest! {
    #[test]
    fn nothing_panics(text in "[$@.?()a-c\"\\\\*\\[\\]0-9<>=!&| +-]{0,30}|.*") {
        let _ = Path::parse(&text);
    }
}
