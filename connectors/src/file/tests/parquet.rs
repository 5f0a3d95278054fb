//! Parquet: types kept exactly over files that differ.

use std::fs::File;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::data_type::{Int96, Int96Type};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    Int32Builder, Int64Array, ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type};

use super::{Shop, counts};
use crate::contract::Format;

fn write(shop: &Shop, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let file = File::create(shop.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn shop() -> Shop {
    Shop::new(Format::Parquet, "*.parquet")
}

#[test]
fn types_are_kept_exactly() {
    let mut shop = shop().nulls(&["n/a"]);
    let nested =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    write(
        &shop,
        "in.parquet",
        vec![
            (
                "amount",
                Arc::new(
                    Decimal128Array::from(vec![1230, 5]).with_precision_and_scale(12, 2).unwrap(),
                ),
            ),
            ("big", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("items", Arc::new(Int32Array::from(vec![Some(1), None]))),
            (
                "nanos",
                Arc::new(TimestampNanosecondArray::from(vec![1_999, -1]).with_timezone("+02:00")),
            ),
            ("micros", Arc::new(TimestampMicrosecondArray::from(vec![1, 2]))),
            (
                "kind",
                Arc::new(vec!["a", "n/a"].into_iter().collect::<DictionaryArray<Int32Type>>()),
            ),
            ("list", Arc::new(nested)),
        ],
    );
    let read = shop.read();
    assert_eq!(
        read.types().join(" "),
        "amount:Decimal128(12, 2) big:Decimal128(20, 0) items:Int32 nanos:Timestamp(µs, \"UTC\") \
         micros:Timestamp(µs) kind:Utf8 list:Utf8"
    );
    assert_eq!(
        read.rows(),
        [
            "12.30|18446744073709551615|1|1970-01-01T00:00:00.000001Z|1970-01-01T00:00:00.000001|a|[1,null]",
            "0.05|0|~|1970-01-01T00:00:00Z|1970-01-01T00:00:00.000002|~|~"
        ]
    );
    assert!(read.nulled().is_empty());
    assert_eq!(read.positions(), [1, 2]);
}

#[test]
fn int96_keeps_far_years() {
    let mut shop = shop();
    let schema = parse_message_type("message m { optional int96 at; }").unwrap();
    let file = File::create(shop.path("in.parquet")).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let mut far = Int96::new();
    far.set_data(1_000, 0, 5_373_484);
    column.typed::<Int96Type>().write_batch(&[far], Some(&[1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let read = shop.read();
    assert_eq!(read.types(), ["at:Timestamp(µs)"]);
    assert_eq!(read.rows(), ["9999-12-31T00:00:00.000001"]);
}

#[test]
fn files_of_one_glob_share_a_schema_that_only_grows() {
    let mut shop = shop();
    write(&shop, "1.parquet", vec![("a", Arc::new(Int32Array::from(vec![1])))]);
    write(
        &shop,
        "2.parquet",
        vec![
            ("b", Arc::new(StringArray::from(vec!["x"]))),
            ("a", Arc::new(Int64Array::from(vec![1 << 40]))),
        ],
    );
    let read = shop.read();
    assert_eq!(read.types(), ["a:Int64", "b:Utf8"]);
    assert_eq!(read.rows(), ["1|~", "1099511627776|x"]);
    write(
        &shop,
        "3.parquet",
        vec![
            ("a", Arc::new(StringArray::from(vec!["7", "seven"]))),
            ("c", Arc::new(Int32Array::from(vec![3, 4]))),
        ],
    );
    let read = shop.read();
    assert_eq!(read.types(), ["a:Int64", "b:Utf8", "c:Int32"]);
    assert_eq!(read.rows(), ["7|~|3", "~|~|4"]);
    assert_eq!(read.nulled(), counts([("a", 1)]));
}

/// A later file of another type gives the values that are the same in both types; the others are null and counted.
#[test]
fn no_value_is_rounded_to_the_type_of_an_earlier_file() {
    let mut shop = shop().nulls(&["-"]);
    let micros = |values: Vec<i64>| {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")) as ArrayRef
    };
    write(
        &shop,
        "1.parquet",
        vec![
            ("n", Arc::new(Int32Array::from(vec![1]))),
            ("day", Arc::new(Date32Array::from(vec![0]))),
            ("f", Arc::new(Float64Array::from(vec![0.5]))),
            ("t", Arc::new(Int64Array::from(vec![1]))),
        ],
    );
    shop.read();
    write(
        &shop,
        "2.parquet",
        vec![
            ("n", Arc::new(Float64Array::from(vec![Some(12.5), Some(12.0), Some(f64::NAN), None]))),
            ("day", micros(vec![86_400_000_000, 86_400_000_001, -1, 0])),
            ("f", Arc::new(Int64Array::from(vec![1, (1 << 53) + 1, 2, 3]))),
            ("t", Arc::new(StringArray::from(vec!["7", "007", "12.5", "-"]))),
        ],
    );
    let read = shop.read();
    assert_eq!(read.rows(), ["~|1970-01-02|1.0|7", "12|~|~|~", "~|~|2.0|~", "~|1970-01-01|3.0|~"]);
    assert_eq!(read.nulled(), counts([("n", 2), ("day", 2), ("f", 1), ("t", 2)]));
}

#[test]
fn nested_values_become_exact_json() {
    let mut shop = shop();
    let times = TimestampMicrosecondArray::from(vec![0]).with_timezone("+02:00");
    let offsets = OffsetBuffer::new(vec![0, 1].into());
    let item = Field::new("item", times.data_type().clone(), true);
    let times = ListArray::new(Arc::new(item), offsets, Arc::new(times), None);
    let mut map = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    map.keys().append_value(7);
    map.values().append_value("x");
    map.append(true).unwrap();
    write(&shop, "in.parquet", vec![("at", Arc::new(times)), ("map", Arc::new(map.finish()))]);
    let read = shop.read();
    assert_eq!(read.rows(), ["[\"1970-01-01T00:00:00Z\"]|{\"7\":\"x\"}"]);
}

#[test]
fn declared_columns_are_cast() {
    let mut shop = shop().column("a", DataType::Utf8);
    write(
        &shop,
        "1.parquet",
        vec![
            ("a", Arc::new(Int32Array::from(vec![1]))),
            ("b", Arc::new(Int32Array::from(vec![1]))),
        ],
    );
    assert_eq!(shop.read().rows(), ["1"]);
}

#[test]
fn every_cursor_stands_right_behind_its_batch() {
    let mut shop = shop().batch_rows(10);
    write(&shop, "1.parquet", vec![("a", Arc::new(Int32Array::from_iter_values(0..95)))]);
    let whole = shop.try_read().unwrap();
    assert_eq!(whole.records.num_rows(), 95);
    let mut seen = 0;
    for batch in &whole.batches {
        seen += batch.records.num_rows();
        shop.cursor = batch.cursor.clone();
        let rest = shop.try_read().unwrap();
        assert_eq!(rest.positions(), whole.positions()[seen..]);
    }
    shop.spec.known_schema = Some(whole.schema.clone());
    assert!(shop.read().batches.is_empty());
}

#[test]
fn damage_is_told() {
    let shop = shop().file("in.parquet", "PAR1 this is none PAR1");
    assert!(shop.refusal().contains("file \"in.parquet\" of source \"shop\" is damaged"));
    let packed = Shop::new(Format::Parquet, "in.parquet.gz").file("in.parquet.gz", "x");
    assert!(packed.refusal().contains("Decompress the file"));
}
