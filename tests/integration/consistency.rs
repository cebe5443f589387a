//! What is written in more than one place says the same everywhere.

const VERSION: &str = env!("CARGO_PKG_VERSION");
const README: &str = include_str!("../../README.md");
const PIPE_YML: &str = include_str!("../../pipe.yml");
const EXAMPLE: &str = include_str!("../../bitbucket-pipelines.yml.example");
const PIPELINES: &str = include_str!("../../bitbucket-pipelines.yml");
const TOOLCHAIN: &str = include_str!("../../rust-toolchain.toml");
const DOCKERFILE: &str = include_str!("../../Dockerfile");
const CHANGELOG: &str = include_str!("../../CHANGELOG.md");

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
fn every_file_names_the_version_of_rust() {
    let rust = env!("CARGO_PKG_RUST_VERSION");
    for (file, text, expected) in [
        ("rust-toolchain.toml", TOOLCHAIN, format!("\"{rust}.")),
        (
            "bitbucket-pipelines.yml",
            PIPELINES,
            format!("rust:{rust}-"),
        ),
        ("Dockerfile", DOCKERFILE, format!("rust:{rust}-")),
    ] {
        assert!(text.contains(&expected), "{file} does not name {expected}");
    }
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

/// A colon and a blank make a mapping of what is meant as a command, which Bitbucket refuses only when it runs.
#[test]
fn the_pipelines_are_yaml_whose_scripts_are_commands_and_pipes() {
    let check = "
import sys, yaml
def scripts(node):
    for key, value in node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else []):
        if key == 'script':
            yield from value
        else:
            yield from scripts(value)
for path in sys.argv[1:]:
    commands = list(scripts(yaml.safe_load(open(path))))
    assert commands, path
    for command in commands:
        assert isinstance(command, str) or command.keys() == {'pipe', 'variables'}, (path, command)
";
    let output = std::process::Command::new(crate::support::local_aws::python())
        .args([
            "-c",
            check,
            "bitbucket-pipelines.yml",
            "bitbucket-pipelines.yml.example",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("Python starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
