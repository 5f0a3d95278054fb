//! Logs that a rotation moves aside: each line is read once, under whatever name.

use std::fs;

use super::{Read, Shop};
use crate::contract::Format;

fn log(content: &str) -> Shop {
    Shop::new(Format::Ndjson, "app.log*").file("app.log", content)
}

fn line(number: u32) -> String {
    format!("{{\"n\":{number}}}\n")
}

fn rename(shop: &Shop, from: &str, to: &str) {
    fs::rename(shop.path(from), shop.path(to)).unwrap();
}

/// What tells the files of the batches apart.
fn origins(read: &Read) -> Vec<&str> {
    read.batches.iter().map(|batch| batch.origin.as_str()).collect()
}

fn is_again(read: &Read) -> bool {
    read.batches.iter().any(|batch| batch.again)
}

#[test]
fn a_log_that_was_renamed_goes_on_where_it_was_read_to() {
    let mut shop = log(&line(1));
    assert_eq!(origins(&shop.read()), ["app.log"]);
    for round in 1..4 {
        // Written to once more before it is moved, and those that were moved before move on.
        shop.append("app.log", line(round * 10));
        for number in (1..round).rev() {
            rename(&shop, &format!("app.log.{number}"), &format!("app.log.{}", number + 1));
        }
        rename(&shop, "app.log", "app.log.1");
        shop.write("app.log", line(1) + &line(round * 10 + 1));
        let read = shop.read();
        let lines = [1, round * 10 + 1, round * 10].map(|number| number.to_string());
        assert_eq!(read.rows(), lines, "round {round}");
        assert!(!is_again(&read), "the new file was never read before");
        let origins = origins(&read);
        assert_ne!(origins[0], origins[1], "two files that had one name are two files");
        assert!(shop.read().batches.is_empty());
    }
}

#[test]
fn a_log_is_known_by_its_content_when_its_name_is_free_for_a_while() {
    let mut shop = Shop::new(Format::Ndjson, "app.log");
    shop.spec.connector =
        crate::contract::ConnectorSpec::File { paths: vec!["app.log".into(), "old/*".into()] };
    shop.write("app.log", line(1));
    shop.write("old/other", line(7));
    shop.read();
    rename(&shop, "app.log", "old/app.log");
    assert!(shop.read().batches.is_empty());
    shop.append("old/app.log", line(2));
    let read = shop.read();
    assert_eq!((read.rows(), origins(&read)), (vec!["2".into()], vec!["app.log"]));
    assert!(shop.read().batches.is_empty(), "a name that was read before may name no file");
    shop.write("app.log", line(1));
    let read = shop.read();
    assert_eq!(read.rows(), ["1"]);
    assert!(!is_again(&read) && origins(&read) != ["app.log"]);
}

#[test]
fn a_log_that_was_copied_and_emptied_is_not_read_twice() {
    let mut shop = log(&(line(1) + &line(2)));
    shop.read();
    fs::copy(shop.path("app.log"), shop.path("app.log.1")).unwrap();
    shop.write("app.log", line(3));
    let read = shop.read();
    assert_eq!(read.rows(), ["3"]);
    assert!(!is_again(&read));
}

/// Two files may say the same: one that is there is not the other one that is gone.
#[test]
fn a_file_that_begins_like_one_that_is_gone_is_another_file() {
    let mut shop = log(&line(1));
    shop.read();
    shop.write("app.log.2", line(1) + &line(2));
    fs::remove_file(shop.path("app.log")).unwrap();
    assert_eq!(shop.read().rows(), ["1", "2"]);
}

#[test]
fn a_file_that_is_only_changed_is_read_again_as_itself() {
    let mut shop = log(&line(1));
    shop.read();
    shop.write("app.log", line(0) + &line(1));
    let read = shop.read();
    assert_eq!((read.rows(), origins(&read)), (vec!["0".into(), "1".into()], vec!["app.log"]));
    assert!(is_again(&read));
}
