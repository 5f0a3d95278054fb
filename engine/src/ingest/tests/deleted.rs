//! Rows that say that their record is gone: it has no current row from then on, and its history.

use arrow::array::Array;

use super::*;

/// A source of keyed rows of which those with `D` say that their record is gone.
fn deleting(version_by: Option<&str>) -> Source {
    Source { deleted_when: Some("op = 'D'".into()), ..records("id", version_by) }
}

#[tokio::test]
async fn the_newest_version_decides_whether_a_record_is_there() {
    let mut shop = Shop::new(deleting(Some("v"))).await;
    shop.write("in.csv", "id,v,name,op\n1,1,A,I\n2,1,B,I\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["1|1|A|I", "2|1|B|I"]);
    shop.append("in.csv", "1,3,A,D\n");
    assert_eq!(shop.refresh().await, (1, 1));
    assert_eq!(shop.rows().await, ["2|1|B|I"]);
    assert_eq!(shop.history().await, ["1|1|A|I", "1|3|A|D"]);

    // Neither what comes late nor what is told again brings it back; not in another process either.
    for restarts in [false, true] {
        if restarts {
            shop.restart().await;
        }
        shop.append("in.csv", "1,2,X,U\n1,3,A,D\n");
        assert_eq!(shop.refresh().await, (2, u64::from(!restarts)), "{restarts}");
        assert_eq!(shop.rows().await, ["2|1|B|I"], "{restarts}");
    }
    shop.append("in.csv", "1,4,C,U\n");
    assert_eq!(shop.refresh().await, (1, 1));
    assert_eq!(shop.rows().await, ["1|4|C|U", "2|1|B|I"], "a newer version does");
    assert_eq!(shop.history().await, ["1|1|A|I", "1|2|X|U", "1|3|A|D"]);

    // Within one refresh, whatever comes first.
    shop.append("in.csv", "3,1,E,I\n3,2,E,D\n4,2,F,D\n4,1,F,I\n5,1,G,D\n5,2,G,I\n2,2,B,D\n");
    assert_eq!(shop.refresh().await, (7, 7));
    assert_eq!(shop.rows().await, ["1|4|C|U", "5|2|G|I"]);
}

#[tokio::test]
async fn a_refresh_of_deletions_alone_takes_all_away() {
    let mut shop = Shop::new(deleting(Some("v"))).await;
    shop.write("in.csv", "id,v,name,op\n9,1,Z,D\n");
    assert_eq!(shop.refresh().await, (1, 1));
    assert!(shop.rows().await.is_empty(), "it was never there");
    shop.append("in.csv", "1,1,A,I\n2,1,B,I\n");
    shop.refresh().await;
    shop.append("in.csv", "1,2,A,D\n2,2,B,D\n");
    shop.refresh().await;
    assert!(shop.rows().await.is_empty());
    shop.restart().await;
    shop.append("in.csv", "1,1,A,I\n9,0,Z,I\n2,3,B,I\n");
    assert_eq!(shop.refresh().await, (3, 2), "one is there already, one is history, one is new");
    assert_eq!(shop.rows().await, ["2|3|B|I"]);
}

/// What the records of a shop said last that are gone.
async fn said_last(shop: &Shop) -> Vec<String> {
    let published = shop.engine.catalog().current();
    let (lake, planner) = (shop.engine.catalog().lake(), shop.engine.planner());
    let rows = gone_rows(lake, planner, &published, ("s", &shop.source)).await.unwrap();
    let mut said = vec![];
    for batch in rows {
        let [names, ops] = ["name", "op"]
            .map(|name| tables::texts(tables::column(&batch, name).unwrap()).unwrap());
        said.extend((0..batch.num_rows()).map(|row| match names.is_valid(row) {
            true => format!("{} {}", names.value(row), ops.value(row)),
            false => ops.value(row).to_owned(),
        }));
    }
    said.sort();
    said
}

#[tokio::test]
async fn what_records_said_last_that_are_gone_is_known() {
    let mut shop = Shop::new(deleting(Some("v"))).await;
    shop.write("in.csv", "id,v,name,op\n1,1,A,I\n2,1,B,I\n3,1,C,I\n");
    shop.refresh().await;
    assert!(said_last(&shop).await.is_empty());
    // One that says that it is gone and no more, and one that says more.
    shop.append("in.csv", "1,3,,D\n2,2,Bo,D\n3,2,Co,U\n");
    shop.refresh().await;
    assert_eq!(said_last(&shop).await, ["A I", "B I", "Bo D"]);
    shop.append("in.csv", "1,2,Ada,U\n1,0,Aaron,I\n");
    shop.refresh().await;
    shop.restart().await;
    assert_eq!(said_last(&shop).await, ["Ada U", "B I", "Bo D"], "what comes late and was newer");
    shop.append("in.csv", "2,3,Bea,U\n");
    shop.refresh().await;
    assert_eq!(said_last(&shop).await, ["Ada U"], "it is back");
    // Without versions nothing tells which of the rows of one refresh was the last.
    let shop = Shop::new(deleting(None)).await;
    shop.write("in.csv", "id,name,op\n1,A,I\n");
    shop.refresh().await;
    shop.append("in.csv", "1,B,U\n1,C,U\n1,,D\n");
    shop.refresh().await;
    assert_eq!(said_last(&shop).await, ["B U", "C U"]);
}

/// A row without a version is older than any other, so nobody would hear of the deletion.
#[tokio::test]
async fn a_deletion_without_a_version_is_set_aside() {
    let mut shop = Shop::new(deleting(Some("v"))).await;
    shop.write("in.csv", "id,v,name,op\n1,1,A,I\n2,,B,I\n");
    assert_eq!(shop.refresh().await, (2, 2));
    shop.append("in.csv", "1,,A,D\n2,,B,D\n3,,C,D\n");
    assert_eq!(shop.refresh().await, (3, 0));
    let there = ["1|1|A|I", "2|~|B|I"];
    assert_eq!(shop.rows().await, there);
    assert!(shop.history().await.is_empty());
    let aside = [("4", "1", "A"), ("5", "2", "B"), ("6", "3", "C")].map(|(line, id, name)| {
        format!("in.csv|{line}|missing_version|id={id}, name={name}, op=D")
    });
    assert_eq!(shop.quarantine().await, aside);
    shop.append("in.csv", "1,2,A,D\n2,2,B,D\n1,,A,U\n");
    assert_eq!(shop.refresh().await, (3, 3));
    assert!(shop.rows().await.is_empty(), "an older row does not bring it back");
    assert_eq!(shop.quarantine().await, aside, "what says that it is there may lack a version");
    shop.source.on_error = OnError::Fail;
    shop.define().await;
    shop.append("in.csv", "2,,B,D\n");
    let refusal = shop.refusal().await;
    assert!(refusal.contains("missing_version"), "{refusal}");
}

/// Without VERSION BY the last row counts, however often a record comes and goes.
#[tokio::test]
async fn a_record_comes_back_and_goes_again() {
    let mut shop = Shop::new(deleting(None)).await;
    let header = "id,v,name,op\n";
    shop.write("in.csv", &format!("{header}1,1,A,I\n"));
    shop.refresh().await;
    let there = vec!["1|1|A|I".to_owned()];
    for (op, expected) in [("D", vec![]), ("I", there), ("D", vec![])] {
        shop.append("in.csv", &format!("1,1,A,{op}\n"));
        assert_eq!(shop.refresh().await, (1, 1), "{op}");
        assert_eq!(shop.rows().await, expected, "{op}");
    }
    shop.restart().await;
    let log = std::fs::read_to_string(shop.path("in.csv")).unwrap();
    shop.write("in.csv", &format!("{header}0,1,first,I\n{}", &log[header.len()..]));
    assert_eq!(shop.refresh().await, (5, 1), "read again, the log says the same");
    assert_eq!(shop.rows().await, ["0|1|first|I"]);
}

/// A key that was cut short names somebody else: that record is there again.
#[tokio::test]
async fn a_cut_key_takes_no_other_record_away() {
    let mut shop = Shop::new(deleting(None)).await;
    shop.write("in.csv", "n,op,id\n5,I,1\n6,I,2\n");
    shop.refresh().await;
    shop.append("in.csv", "7,D,1");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["6|I|2"]);
    shop.restart().await;
    shop.append("in.csv", "2\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["5|I|1", "6|I|2"]);
    shop.restart().await;
    shop.append("in.csv", "8,I,12\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["5|I|1", "6|I|2", "8|I|12"]);
}

#[tokio::test]
async fn a_condition_is_one_and_what_is_unknown_is_not_true() {
    let mut shop =
        Shop::new(Source { deleted_when: Some("n".into()), ..records("id", None) }).await;
    shop.write("in.csv", "id,n\n1,5\n2,\n3,-1\n");
    let refusal = shop.refusal().await;
    assert!(refusal.contains("DELETED WHEN (n) is not a condition"), "{refusal}");
    shop.source.deleted_when = Some("n < 0".into());
    shop.define().await;
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["1|5", "2|~"]);
    shop.source.deleted_when = None;
    shop.define().await;
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["1|5", "2|~", "3|-1"], "another condition reads all anew");
}
