//! Paths: what is found, and that nothing outside the root is.

use std::fs;
use std::os::unix::fs::symlink;

use super::Shop;
use crate::contract::{ConnectorSpec, Format};

#[test]
fn no_path_leaves_the_root() {
    let outside = tempfile::TempDir::new().unwrap();
    fs::write(outside.path().join("secret.csv"), "a\n1\n").unwrap();
    let up = format!("../{}/secret.csv", outside.path().file_name().unwrap().to_str().unwrap());
    let absolute = outside.path().join("secret.csv").to_str().unwrap().to_owned();
    let globbed = format!("{}/*.csv", outside.path().to_str().unwrap());
    for path in [up.as_str(), &absolute, &globbed, "link.csv", "folder/secret.csv", "folder/*.csv"]
    {
        let shop = Shop::new(Format::Csv, path);
        symlink(outside.path().join("secret.csv"), shop.path("link.csv")).unwrap();
        symlink(outside.path(), shop.path("folder")).unwrap();
        let refusal = shop.refusal();
        assert!(refusal.contains("outside the allowed folder"), "{path}: {refusal}");
    }
}

#[test]
fn links_and_absolute_paths_within_the_root_are_fine() {
    let mut shop = Shop::new(Format::Csv, "*.csv").file("data/1.csv", "a\n1\n");
    symlink(shop.path("data/1.csv"), shop.path("link.csv")).unwrap();
    let read = shop.read();
    assert_eq!(read.batches[0].file, "data/1.csv");
    let absolute = shop.path("data/*.csv").to_str().unwrap().to_owned();
    let twice = vec!["link.csv".into(), absolute, "./data/1.csv".into(), "data/../link.csv".into()];
    shop.spec.connector = ConnectorSpec::File { paths: twice };
    shop.cursor = Default::default();
    assert_eq!(shop.read().rows(), ["1"]);
}

#[test]
fn a_folder_whose_name_only_begins_like_the_root_is_outside() {
    let shop = Shop::new(Format::Csv, "*.csv");
    let sibling = format!("{}2", shop.spec.root.to_str().unwrap());
    fs::create_dir(&sibling).unwrap();
    fs::write(format!("{sibling}/in.csv"), "a\n1\n").unwrap();
    let mut shop = shop.file("2/in.csv", "a\n2\n");
    shop.spec.connector = ConnectorSpec::File { paths: vec![format!("{sibling}/in.csv")] };
    let refusal = shop.refusal();
    fs::remove_dir_all(&sibling).unwrap();
    assert!(refusal.contains("outside the allowed folder"), "{refusal}");
}

#[test]
fn paths_that_name_nothing_readable_are_errors() {
    for (path, expected) in [
        ("no.csv", "No file matches"),
        ("no/*.csv", "No file matches"),
        ("folder", "No file matches"),
        (".hidden.csv", ""),
        ("[", "The pattern is wrong"),
        ("dangling.csv", "cannot be used"),
    ] {
        let shop = Shop::new(Format::Csv, path).file("folder/x", "").file(".hidden.csv", "a\n");
        symlink(shop.path("nowhere"), shop.path("dangling.csv")).unwrap();
        match expected {
            "" => assert!(shop.try_read().is_ok()),
            expected => {
                let refusal = shop.refusal();
                assert!(refusal.contains(expected), "{path}: {refusal}");
            }
        }
    }
    let hidden = Shop::new(Format::Csv, "*.csv").file(".hidden.csv", "a\n");
    assert!(hidden.refusal().contains("No file matches"));
}

#[test]
fn a_missing_root_is_named() {
    let mut shop = Shop::new(Format::Csv, "in.csv");
    shop.spec.root = shop.path("absent");
    assert!(shop.refusal().contains("absent"));
}
