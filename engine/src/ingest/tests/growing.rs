//! Files that are read while they are written to: rows that were not complete, and logs that were moved aside.

use super::*;

/// The last row of a file that ends without a line end is a row. Should the file go on with more of it, it never was one,
/// and stands neither among the rows nor in the history.
#[tokio::test]
async fn a_record_that_was_not_complete_leaves_nothing_behind() {
    let mut shop = Shop::new(records("id", None)).await;
    shop.write("in.csv", "id,n\n1,5\n2,1");
    assert_eq!(shop.refresh().await, (2, 2), "a file need not end with a line end");
    assert_eq!(shop.rows().await, ["1|5", "2|1"]);
    shop.restart().await;
    shop.append("in.csv", "7\n3,8\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["1|5", "2|17", "3|8"]);
    assert!(shop.history().await.is_empty(), "2|1 was no version of anything");
    shop.append("in.csv", "2,1\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["1|5", "2|1", "3|8"], "now it is one");
    assert_eq!(shop.history().await, ["2|17"]);
    shop.append("in.csv", "4,4");
    shop.refresh().await;
    shop.append("in.csv", "\n");
    assert_eq!(shop.refresh().await, (0, 0));
    assert_eq!(shop.rows().await, ["1|5", "2|1", "3|8", "4|4"], "it was complete after all");
}

/// A key that was cut short names somebody else: that record is again what it was.
#[tokio::test]
async fn a_cut_key_does_not_change_another_record() {
    let mut shop = Shop::new(records("id", None)).await;
    shop.write("in.csv", "n,id\n5,1\n6,2\n");
    shop.refresh().await;
    shop.append("in.csv", "7,1");
    shop.refresh().await;
    assert_eq!(
        (shop.rows().await, shop.history().await),
        (vec!["6|2".into(), "7|1".into()], vec!["5|1".into()])
    );
    shop.restart().await;
    shop.append("in.csv", "2\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["5|1", "6|2", "7|12"]);
    shop.restart().await;
    shop.append("in.csv", "8,1\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["6|2", "7|12", "8|1"]);

    // A row that was there already is not taken away with the one that looked like it.
    shop.append("in.csv", "8,1");
    assert_eq!(shop.refresh().await, (1, 0));
    shop.append("in.csv", "3\n");
    shop.refresh().await;
    assert_eq!(shop.rows().await, ["6|2", "7|12", "8|1", "8|13"]);
}

#[tokio::test]
async fn an_event_that_was_not_complete_is_none() {
    for key in [vec![], vec!["id"]] {
        let mut shop = Shop::new(events(Format::Csv, "in.csv", &key)).await;
        shop.write("in.csv", "id,n\na,1\nb,1\nc,1");
        assert_eq!(shop.refresh().await, (3, 3));
        shop.restart().await;
        // The next line is equal to an earlier one of the same file, and an event all the same if nothing tells them apart.
        shop.append("in.csv", "2\na,1\n");
        shop.refresh().await;
        let twice = if key.is_empty() { vec!["a|1"; 2] } else { vec!["a|1"] };
        assert_eq!(shop.rows().await, [twice, vec!["b|1", "c|12"]].concat(), "{key:?}");
        assert!(shop.quarantine().await.is_empty());
    }
}

#[tokio::test]
async fn half_a_row_is_neither_taken_nor_set_aside() {
    let shop = Shop::new(records("id", None)).await;
    shop.write("in.csv", "id,n,name\n1,5,Ada\n2,6");
    assert_eq!(shop.refresh().await, (1, 1));
    assert_eq!(shop.state().incomplete.into_iter().collect::<Vec<_>>(), ["in.csv"]);
    shop.append("in.csv", ",Bo\n");
    assert_eq!(shop.refresh().await, (1, 1));
    assert_eq!(shop.rows().await, ["1|5|Ada", "2|6|Bo"]);
    assert!(shop.quarantine().await.is_empty() && shop.state().incomplete.is_empty());
}

/// A line without an id is an event each time it is written, and once for each time: under whatever name its log is.
#[tokio::test]
async fn a_rotated_log_is_read_once() {
    let mut shop = Shop::new(events(Format::Ndjson, "in.log*", &[])).await;
    let line = |number: u32| format!("{{\"n\":{number}}}\n");
    shop.write("in.log", &(line(1) + &line(2)));
    assert_eq!(shop.refresh().await, (2, 2));
    shop.append("in.log", &line(3));
    std::fs::rename(shop.path("in.log"), shop.path("in.log.1")).unwrap();
    shop.write("in.log", &(line(1) + &line(4)));
    assert_eq!(shop.refresh().await, (3, 3));
    assert_eq!(shop.rows().await, ["1", "1", "2", "3", "4"]);
    shop.restart().await;
    // Changed at their beginnings, both are read again, each as itself.
    shop.write("in.log.1", &(line(0) + &line(1) + &line(2) + &line(3)));
    shop.write("in.log", &(line(9) + &line(1) + &line(4)));
    assert_eq!(shop.refresh().await, (7, 2));
    assert_eq!(shop.rows().await, ["0", "1", "1", "2", "3", "4", "9"]);
}
