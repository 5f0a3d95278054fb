//! Deliveries: exact texts, whole files, and nothing outside the root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Schema};
use tempfile::TempDir;

use super::super::schema::json_field;
use super::Shop;
use crate::contract::{
    ConnectorSpec, Delivery, DestinationSpec, Format, Purpose, Receipt, Reserved,
};
use crate::error::Result;
use crate::open_destination;

fn spec(folder: &TempDir, format: Format, path: &str) -> DestinationSpec {
    DestinationSpec {
        name: "mailer".into(),
        connector: ConnectorSpec::File { paths: vec![path.into()] },
        format,
        root: folder.path().to_owned(),
        reserved: Reserved::default(),
    }
}

fn batch() -> RecordBatch {
    let at = TimestampMicrosecondArray::from(vec![Some(1_500_000), None]).with_timezone("+02:00");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("name", Arc::new(StringArray::from(vec![Some("=Ł, \"x\"\ny"), None]))),
        (
            "amount",
            Arc::new(
                Decimal128Array::from(vec![1230, -5]).with_precision_and_scale(12, 2).unwrap(),
            ),
        ),
        ("at", Arc::new(at)),
        ("o", Arc::new(StringArray::from(vec![Some("{\"a\" : 1.50}"), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut fields: Vec<_> = batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    fields[3] = json_field("o");
    RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).unwrap()
}

fn delivery(run: &str, batches: Vec<RecordBatch>) -> Delivery {
    Delivery {
        purpose: Purpose("email_marketing".into()),
        sync: "daily".into(),
        segment: Some("vips".into()),
        run: run.into(),
        batches,
        schema: batch().schema(),
    }
}

fn deliver(spec: DestinationSpec, delivery: Delivery) -> Result<Receipt> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let destination = open_destination(spec)?;
    let told = destination.location(&delivery)?;
    let receipt = runtime.block_on(destination.deliver(delivery))?;
    assert_eq!(receipt.location, told, "what is told before is where it is afterwards");
    Ok(receipt)
}

fn refusal(spec: DestinationSpec, delivery: Delivery) -> String {
    let error = deliver(spec, delivery).unwrap_err();
    format!("{error}: {}", error.hint())
}

#[test]
fn csv_is_exact() {
    let folder = TempDir::new().unwrap();
    let spec = spec(&folder, Format::Csv, "out/{segment}/{sync}-{run}.csv");
    let receipt = deliver(spec, delivery("r1", vec![batch()])).unwrap();
    assert_eq!(receipt, Receipt { location: "out/vips/daily-r1.csv".into(), rows: 2 });
    let text = fs::read_to_string(folder.path().join(receipt.location)).unwrap();
    let expected = "name,amount,at,o\n\
                    \"=Ł, \"\"x\"\"\ny\",12.30,1970-01-01T00:00:01.500Z,\"{\"\"a\"\" : 1.50}\"\n\
                    ,-0.05,,\n";
    assert_eq!(text, expected);
}

#[test]
fn ndjson_holds_json_as_json() {
    let folder = TempDir::new().unwrap();
    let spec = spec(&folder, Format::Ndjson, "{run}.ndjson");
    deliver(spec, delivery("r1", vec![batch()])).unwrap();
    let text = fs::read_to_string(folder.path().join("r1.ndjson")).unwrap();
    let expected = "{\"name\":\"=Ł, \\\"x\\\"\\ny\",\"amount\":12.30,\"at\":\"1970-01-01T00:00:01.500Z\",\"o\":{\"a\" : 1.50}}\n\
                    {\"name\":null,\"amount\":-0.05,\"at\":null,\"o\":null}\n";
    assert_eq!(text, expected);
}

/// What is written can be read again as it was, in every format and compression.
#[test]
fn deliveries_can_be_read_again() {
    for (format, name) in [
        (Format::Csv, "x.csv"),
        (Format::Csv, "x.csv.gz"),
        (Format::Ndjson, "x.ndjson.zst"),
        (Format::Parquet, "x.parquet"),
    ] {
        let mut shop = Shop::new(format, name);
        deliver(spec(&shop.folder, format, name), delivery("r", vec![batch(), batch()])).unwrap();
        let row = "=Ł, \"x\"\ny|12.30|1970-01-01T00:00:01.500Z|{\"a\" : 1.50}";
        let empty = "~|-0.05|~|~";
        assert_eq!(shop.read().rows(), [row, empty, row, empty], "{name}");
    }
}

#[test]
fn no_rows_are_a_file_too() {
    let folder = TempDir::new().unwrap();
    deliver(spec(&folder, Format::Csv, "x.csv"), delivery("r", vec![])).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("x.csv")).unwrap(), "name,amount,at,o\n");
    deliver(spec(&folder, Format::Ndjson, "x.ndjson"), delivery("r", vec![])).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("x.ndjson")).unwrap(), "");
}

#[test]
fn nested_values_are_json_in_csv() {
    let folder = TempDir::new().unwrap();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
    let batch = RecordBatch::try_from_iter([("l", Arc::new(list) as ArrayRef)]).unwrap();
    let delivery = Delivery { schema: batch.schema(), ..delivery("r", vec![batch]) };
    deliver(spec(&folder, Format::Csv, "x.csv"), delivery).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("x.csv")).unwrap(), "l\n\"[1,null]\"\n");
}

#[test]
fn the_same_run_replaces_and_leaves_nothing_else() {
    let folder = TempDir::new().unwrap();
    let spec = || spec(&folder, Format::Csv, "new/er/{run}.csv");
    fs::create_dir(folder.path().join("new")).unwrap();
    deliver(spec(), delivery("r", vec![batch()])).unwrap();
    let out = folder.path().join("new/er");
    // What a crash in the middle of the same run left behind.
    fs::write(out.join(".r.csv.r.tmp"), "half").unwrap();
    deliver(spec(), delivery("r", vec![batch(), batch()])).unwrap();
    let names: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["r.csv"]);
    assert_eq!(fs::read_to_string(out.join("r.csv")).unwrap().matches("12.30").count(), 2);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&out), mode(&out.join("r.csv"))), (0o700, 0o600));
}

#[test]
fn nothing_is_written_outside_the_root() {
    let outside = TempDir::new().unwrap();
    for path in
        ["../x.csv", "a/../../x.csv", "/tmp/onefold-outside.csv", "link/x.csv", "link/new/x.csv"]
    {
        let folder = TempDir::new().unwrap();
        symlink(outside.path(), folder.path().join("link")).unwrap();
        let refusal = refusal(spec(&folder, Format::Csv, path), delivery("r", vec![batch()]));
        assert!(refusal.contains("outside") || refusal.contains("within"), "{path}: {refusal}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
    let folder = TempDir::new().unwrap();
    for run in ["../x", "a/b", ".", "", ".hidden", "a b"] {
        let refusal =
            refusal(spec(&folder, Format::Csv, "out/{run}"), delivery(run, vec![batch()]));
        assert!(refusal.contains("`{run}` in the path"), "{run}: {refusal}");
    }
}

#[test]
fn what_a_killed_run_left_goes_with_the_next_one() {
    const KILLED: &str = "0123456789abcdef0123456789abcdef";
    for (template, left, kept) in [
        ("out/{segment}.csv", format!("out/.vips.csv.{KILLED}.tmp"), "out/vips.csv"),
        ("{sync}-{run}.csv", format!(".daily-{KILLED}.csv.{KILLED}.tmp"), "daily-r.csv"),
        ("./o/a{run}/x.csv", format!("o/a{KILLED}/.x.csv.{KILLED}.tmp"), "o/ar/x.csv"),
    ] {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path(&left).parent().unwrap()).unwrap();
        fs::write(path(&left), "half").unwrap();
        // Those of others, and one that somebody still writes, stay.
        let beside = path(&left).parent().unwrap().to_owned();
        let others = [
            ".vips.csv.backup.tmp".to_owned(),
            format!(".other.csv.{KILLED}.tmp"),
            format!("vips.csv.{KILLED}.tmp"),
        ];
        others.iter().for_each(|name| fs::write(beside.join(name), "theirs").unwrap());
        let written = path(&left.replace(KILLED, &KILLED.replace('0', "f")));
        fs::create_dir_all(written.parent().unwrap()).unwrap();
        let writer = fs::File::create(&written).unwrap();
        writer.lock().unwrap();

        deliver(spec(&folder, Format::Csv, template), delivery("r", vec![])).unwrap();
        assert!(path(kept).try_exists().unwrap(), "{template}: nothing was delivered");
        assert!(!path(&left).try_exists().unwrap(), "{template}: {left} is still there");
        assert!(written.try_exists().unwrap(), "{template}: what somebody writes is gone");
        for name in others {
            assert!(beside.join(&name).try_exists().unwrap(), "{template}: {name} is gone");
        }
    }
}

#[test]
fn what_others_need_is_not_overwritten() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("lake")).unwrap();
    symlink(root.join("lake"), root.join("link")).unwrap();
    let reserved = || Reserved {
        folders: vec![(root.join("lake"), "part of the lake".into())],
        files: vec![
            ("onefold.toml".into(), "the settings".into()),
            ("**/*.sql".into(), "a definition".into()),
            ("./data/*.csv".into(), "read by source \"crm\"".into()),
            (root.join("keys/k").to_string_lossy().into(), "read by secret \"k\"".into()),
            ("data/[".into(), "no pattern".into()),
        ],
    };
    let spec =
        |path: &str| DestinationSpec { reserved: reserved(), ..spec(&folder, Format::Csv, path) };
    for (path, what) in [
        ("lake/x.csv", "part of the lake"),
        ("./lake/_catalog/{run}.csv", "part of the lake"),
        ("link/{run}.csv", "part of the lake"),
        ("onefold.toml", "the settings"),
        ("x.sql", "a definition"),
        ("segments/a/{run}.sql", "a definition"),
        ("data/{run}.csv", "read by source \"crm\""),
        ("keys/k", "read by secret \"k\""),
    ] {
        let refused = open_destination(spec(path)).err().unwrap_or_else(|| panic!("{path}"));
        let message = format!("the path \"{}\"", path.replace("{run}", "name"));
        assert!(refused.to_string().starts_with(&message), "{refused}");
        assert!(refused.hint().starts_with(&format!("It is {what}, ")), "{}", refused.hint());
    }
    for path in ["lakes/x.csv", "data/x/{run}.csv", "data/{run}.ndjson", "out/onefold.toml"] {
        deliver(spec(path), delivery("r", vec![])).unwrap();
    }
    // Names decide where it goes only when they are known.
    let named = "data/{segment}.csv";
    assert!(open_destination(spec(named)).is_err());
    let named = "{segment}/x.csv";
    let elsewhere = Delivery { segment: Some("lake".into()), ..delivery("r", vec![]) };
    let refused = refusal(spec(named), elsewhere);
    assert!(
        refused.contains("\"lake/x.csv\"") && refused.contains("part of the lake"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(root.join("lake")).unwrap().count(), 0);
}

#[test]
fn definitions_are_checked_when_opened() {
    let folder = TempDir::new().unwrap();
    for (format, path, expected) in [
        (Format::Csv, "{who}.csv", "Only `{segment}`, `{sync}` and `{run}`"),
        (Format::Csv, "{run.csv", "Close the brace"),
        (Format::Csv, "out/", "Name a file"),
        (Format::Segment, "x", "Write csv, ndjson or parquet"),
        (Format::Parquet, "x.parquet.gz", "Parquet compresses its own columns"),
    ] {
        let error = open_destination(spec(&folder, format, path)).err().unwrap();
        assert!(error.hint().contains(expected), "{path}: {}", error.hint());
    }
    let query = Delivery { segment: None, ..delivery("r", vec![]) };
    assert!(refusal(spec(&folder, Format::Csv, "{segment}.csv"), query).contains("use `{sync}`"));
}
