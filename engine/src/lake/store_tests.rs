//! Tests of the stores.

use object_store::ObjectStoreExt;

use super::*;

#[tokio::test]
async fn objects_are_whole_private_and_listed_in_order() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("deep").join("lake");
    let store = DurableDirectory::open(&root).unwrap();
    for name in ["b/2", "a/1", "b/1"] {
        store.put(&Path::from(name), name.to_owned().into()).await.unwrap();
    }
    let created = store.put_opts(&Path::from("a/1"), "new".into(), PutMode::Create.into()).await;
    assert!(matches!(created, Err(object_store::Error::AlreadyExists { .. })), "{created:?}");
    store.put(&Path::from("b/1"), "new".into()).await.unwrap();
    assert_eq!(store.get(&Path::from("b/1")).await.unwrap().bytes().await.unwrap(), "new");
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    let names: Vec<_> = listed.iter().map(|object| object.location.as_ref()).collect();
    assert_eq!(names, ["a/1", "b/1", "b/2"]);
    assert_eq!(std::fs::read_dir(root.join("b")).unwrap().count(), 2, "nothing staged is left");
    #[cfg(unix)]
    for (path, mode) in [(root.clone(), 0o700), (root.join("b"), 0o700), (root.join("b/1"), 0o600)]
    {
        let found = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).unwrap().permissions(),
        );
        assert_eq!(found & 0o777, mode, "{}", path.display());
    }
    let absent = store.get(&Path::from("c")).await;
    assert!(matches!(absent, Err(object_store::Error::NotFound { .. })));
}

#[tokio::test]
async fn parts_become_one_object() {
    let directory = tempfile::tempdir().unwrap();
    let store = DurableDirectory::open(directory.path()).unwrap();
    let mut upload = store.put_multipart(&Path::from("x/y")).await.unwrap();
    upload.put_part("one ".into()).await.unwrap();
    upload.put_part("two".into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(store.get(&Path::from("x/y")).await.unwrap().bytes().await.unwrap(), "one two");
    store.copy(&Path::from("x/y"), &Path::from("z/copy")).await.unwrap();
    store.rename(&Path::from("x/y"), &Path::from("z/moved")).await.unwrap();
    let all: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    assert_eq!(all.len(), 2);
    let doomed = stream::iter(all.into_iter().map(|object| Ok(object.location))).boxed();
    let deleted: Vec<Path> = store.delete_stream(doomed).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 2);
}

#[test]
fn staged_names_are_told_apart() {
    let staged = staged_name(FilePath::new("/lake/t/part.parquet"));
    assert!(is_staged(&staged.file_name().unwrap().to_string_lossy()));
    assert!(!is_staged("part.parquet") && !is_staged("part#a") && !is_staged("part#"));
}

#[test]
fn only_known_places_and_options_are_taken() {
    let none = BTreeMap::new();
    assert!(matches!(
        open_url(&"gs://bucket/x".parse().unwrap(), &none),
        Err(Error::Unsupported { .. })
    ));
    let odd = BTreeMap::from([("colour".to_owned(), "red".to_owned())]);
    assert!(matches!(
        open_url(&"s3://bucket/x".parse().unwrap(), &odd),
        Err(Error::Invalid { .. })
    ));
    let options = BTreeMap::from([("region".to_owned(), "eu-central-1".to_owned())]);
    open_url(&"s3://bucket/x/y".parse().unwrap(), &options).unwrap();
}
