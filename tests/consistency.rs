//! What is written in more than one place says the same everywhere.

const VERSION: &str = env!("CARGO_PKG_VERSION");
const README: &str = include_str!("../README.md");
const PIPE_YML: &str = include_str!("../pipe.yml");
const EXAMPLE: &str = include_str!("../bitbucket-pipelines.yml.example");
const DOCKERFILE: &str = include_str!("../Dockerfile");
const CHANGELOG: &str = include_str!("../CHANGELOG.md");

/// The version behind each `mojitopublish/mojito-publish:` of a text.
fn versions(text: &str) -> Vec<&str> {
    text.split("mojitopublish/mojito-publish:")
        .skip(1)
        .map(|rest| {
            rest.split(|c: char| !c.is_ascii_digit() && c != '.')
                .next()
                .unwrap_or_default()
        })
        .collect()
}

#[test]
fn every_file_names_the_version_of_the_package() {
    for (file, text) in [
        ("README.md", README),
        ("pipe.yml", PIPE_YML),
        ("bitbucket-pipelines.yml.example", EXAMPLE),
    ] {
        let versions = versions(text);
        assert!(!versions.is_empty(), "{file} names no version");
        assert!(
            versions.iter().all(|version| *version == VERSION),
            "{file} names {versions:?}, the package is {VERSION}"
        );
    }
    assert!(DOCKERFILE.contains(&format!("org.opencontainers.image.version=\"{VERSION}\"")));
    let newest = CHANGELOG
        .lines()
        .find_map(|line| line.strip_prefix("## "))
        .expect("the changelog has an entry");
    assert!(
        newest.starts_with(VERSION),
        "the newest entry of CHANGELOG.md is {newest}, the package is {VERSION}"
    );
}

#[test]
fn the_readme_has_the_sections_of_a_pipe() {
    let sections: Vec<&str> = README
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    for wanted in [
        "YAML Definition",
        "Variables",
        "Prerequisites",
        "Examples",
        "Support",
    ] {
        assert!(
            sections.contains(&wanted),
            "`{wanted}` is not one of {sections:?}"
        );
    }
}

#[test]
fn pipe_yml_has_what_bitbucket_reads() {
    let keys: Vec<&str> = PIPE_YML
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| line.split_once(':').map(|(key, _)| key))
        .collect();
    assert_eq!(
        keys,
        [
            "name",
            "image",
            "description",
            "category",
            "variables",
            "repository",
            "vendor",
            "maintainer",
            "tags"
        ]
    );
}
