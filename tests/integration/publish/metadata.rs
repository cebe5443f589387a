//! `METADATA`: what is stored with the objects of what is known about the build.

use std::collections::BTreeMap;

use crate::support::harness::Case;

/// A build of a tag whose user may write and read production's container.
fn case() -> Case {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1.4.0")
        .env("METADATA", "false");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case
}

/// The metadata of the container, but for the run that has stored it.
#[track_caller]
fn stored(case: &Case) -> BTreeMap<String, String> {
    let object = case.objects().remove(0);
    assert!(!object.caller_reference().is_empty());
    let metadata = object.headers.into_iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("x-amz-meta-")?;
        (name != "caller-reference").then(|| (name.to_owned(), value))
    });
    metadata.collect()
}

#[test]
fn without_metadata_visitors_are_not_shown_the_build() {
    let case = case();
    case.run().exits(0);
    assert_eq!(stored(&case), BTreeMap::new());
    let shown = case.env("DRY_RUN", "true").run().exits(0);
    shown.does_not_contain("x-amz-meta-");
}

#[test]
fn without_metadata_only_newer_keeps_what_it_compares() {
    let case = case().env("ONLY_NEWER", "true");
    case.run().exits(0);
    let compared = [("build-number", "57"), ("repository", "acme/site")];
    let compared = compared.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(stored(&case), compared.into());
    let older = case.env("BITBUCKET_BUILD_NUMBER", "56");
    older.run().exits(6).contains("build 57");
    let other = older.env("BITBUCKET_REPO_FULL_NAME", "acme/other");
    other
        .run()
        .exits(3)
        .contains("build 57 of acme/site is live");
}
