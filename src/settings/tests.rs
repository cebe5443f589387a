use std::collections::{BTreeMap, BTreeSet};

use super::raw::{RawAws, RawBuild, RawTrust};
use serde_aux::serde_introspection::serde_introspect;

use super::*;

const GOOD: [(&str, &str); 5] = [
    ("CONTAINER_NAME", "mojito"),
    ("S3_BUCKET", "acme"),
    ("AWS_DEFAULT_REGION", "ap-southeast-2"),
    ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"),
];

fn settings(variables: &[(&str, &str)], config: ConfigJs) -> Result<Settings, Vec<String>> {
    let raw: Raw = GOOD.iter().chain(variables).copied().collect();
    Settings::new(Flags::default(), &raw, config, None)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn config() -> ConfigJs {
    ConfigJs::parse(
        "module.exports = { containerName: 'other', s3BucketDev: 'other/dev', s3BucketPRD: 'other/prd', s3Region: 'eu-west-1' }",
    )
}

#[test]
fn variables_beat_the_configuration() {
    let settings = settings(&[], config()).unwrap();
    assert_eq!(settings.target.containers[0].as_str(), "mojito");
    assert_eq!(
        (
            settings.target.bucket.as_str(),
            settings.target.prefix.as_str()
        ),
        ("acme", "jsdev")
    );
    assert_eq!(settings.target.region, "ap-southeast-2");
}

#[test]
fn the_configuration_beats_the_defaults_and_the_profile() {
    #[track_caller]
    fn case(production: bool, prefix: &str) {
        let flags = Flags {
            production,
            ..Flags::default()
        };
        let nothing = Raw::from_iter([]);
        let settings = Settings::new(flags, &nothing, config(), Some("us-east-1")).unwrap();
        assert_eq!(settings.target.containers[0].as_str(), "other");
        assert_eq!(
            (
                settings.target.bucket.as_str(),
                settings.target.prefix.as_str()
            ),
            ("other", prefix)
        );
        assert_eq!(settings.target.cdn_prefix.as_str(), prefix);
        assert_eq!(settings.target.region, "eu-west-1");
        assert_eq!(settings.pretty, !production);
    }
    case(false, "dev");
    case(true, "prd");
}

/// The settings, or all problems, without some variables and with the region `us-east-1` of a profile.
fn with_config(config: &str, unset: &[&str]) -> Result<Settings, String> {
    let is_set = |(name, _): &(&str, &str)| !unset.contains(name);
    let raw: Raw = GOOD.into_iter().filter(is_set).collect();
    Settings::new(
        Flags::default(),
        &raw,
        ConfigJs::parse(config),
        Some("us-east-1"),
    )
    .map_err(|problems| {
        problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

#[test]
fn the_region_of_the_profile_is_used_where_config_js_certainly_names_none() {
    #[track_caller]
    fn case(config: &str) {
        let settings = with_config(config, &["AWS_DEFAULT_REGION"]).unwrap();
        assert_eq!(settings.target.region, "us-east-1");
    }
    case("module.exports = {}");
    case("module.exports = { containerName: f() }");
    case("module.exports = { ...f(), s3Region: '' }");
}

#[test]
fn the_region_of_the_profile_is_refused_where_config_js_may_name_one() {
    #[track_caller]
    fn case(config: &str, problem: &str) {
        let problems = with_config(config, &["AWS_DEFAULT_REGION"]).unwrap_err();
        assert!(problems.starts_with(problem), "{problems}");
        assert!(
            problems.ends_with(", or set `AWS_DEFAULT_REGION`"),
            "{problems}"
        );
        assert!(with_config(config, &[]).is_ok());
    }
    case("module.exports = {", "`config.js` cannot be read: ");
    case(
        "module.exports = { s3Region: f() }",
        "`config.js s3Region` is computed",
    );
    case(
        "module.exports = { s3Region: 2 }",
        "`config.js s3Region` is not a string",
    );
    case(
        "module.exports = { ...f() }",
        "`config.js s3Region` is computed",
    );
}

#[test]
fn a_configuration_that_cannot_be_read_matters_only_where_it_is_wanted() {
    #[track_caller]
    fn case(config: &str, unset: &[&str], expected: &str) {
        assert!(with_config(config, &[]).is_ok());
        assert_eq!(with_config(config, unset).unwrap_err(), expected);
    }
    let all = ["CONTAINER_NAME", "S3_BUCKET", "AWS_DEFAULT_REGION"];
    case(
        "module.exports = f()",
        &all,
        "`config.js` cannot be read: expected one `module.exports = {...}`, after declarations if any\n \
         --> config.js:1:1\n  |\n1 | module.exports = f()\n  | ^^^^^^^^^^^^^^^^^^^^\n\
         fix it, or set `CONTAINER_NAME` and `S3_BUCKET` and `AWS_DEFAULT_REGION`",
    );
    case(
        "module.exports = {\n  containerName: f(),\n  s3BucketDev: 7,\n}",
        &all[..2],
        "`config.js containerName` is computed, but this file is only parsed, never run\n \
         --> config.js:2:18\n  |\n2 |   containerName: f(),\n  |                  ^^^\n\
         write it as a plain string, or set `CONTAINER_NAME`\n\
         `config.js s3BucketDev` is not a string\n \
         --> config.js:3:16\n  |\n3 |   s3BucketDev: 7,\n  |                ^\n\
         write it as a plain string, or set `S3_BUCKET`",
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = settings(
        &[
            ("WAIT", "yes"),
            ("ACL", "public"),
            ("DISTRIBUTION_ID", "E1*"),
            ("S3_PREFIX", "a//b"),
            ("AWS_CA_BUNDLE", "/no/such/file"),
        ],
        ConfigJs::default(),
    )
    .unwrap_err();
    let names: Vec<&str> = problems
        .iter()
        .map(|problem| problem.split('`').nth(1).unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "S3_PREFIX",
            "DISTRIBUTION_ID",
            "WAIT",
            "ACL",
            "AWS_CA_BUNDLE"
        ]
    );
}

#[test]
fn secrets_are_not_printed() {
    let settings = settings(&[], ConfigJs::default()).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    let problems = settings_with_secret_address();
    assert!(
        problems.iter().all(|problem| !problem.contains("hunter2")),
        "{problems:?}"
    );
}

fn settings_with_secret_address() -> Vec<String> {
    settings(
        &[
            ("HTTPS_PROXY", "hunter2:"),
            ("PUBLIC_URL", "https://user:hunter2@example.com"),
            ("AWS_ENDPOINT_URL", "https://user:hunter2@example.com"),
        ],
        ConfigJs::default(),
    )
    .unwrap_err()
}

const README: &str = include_str!("../../README.md");
const PIPE_YML: &str = include_str!("../../pipe.yml");

/// A row of README's tables of variables.
struct Row {
    names: Vec<&'static str>,
    default: &'static str,
}

/// README's two tables of variables: this program's settings, and those of every AWS tool.
fn readme_tables() -> [Vec<Row>; 2] {
    let rows = |header: &str| {
        let (_, table) = README.split_once(header).unwrap();
        let lines = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let cells = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let names = |cell: &'static str| cell.split(", ").map(|name| name.trim_matches('`'));
        cells
            .map(|cells| Row {
                names: names(cells[1]).collect(),
                default: cells[2],
            })
            .collect()
    };
    [
        rows("| Variable | Default | Meaning | IAM actions |"),
        rows("| Variable | Meaning |"),
    ]
}

/// The names and types of README's YAML block: `NAME: '<TYPE>'`, some of them in comments.
fn readme_yaml() -> BTreeMap<&'static str, &'static str> {
    let (_, block) = README.split_once("```yaml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let lines = block
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']));
    lines
        .filter_map(|line| line.split_once(": '<"))
        .map(|(name, rest)| (name, rest.split('>').next().unwrap()))
        .collect()
}

/// The names and defaults of `pipe.yml`, without what is only passed on from the repository's variables.
fn pipe_yml() -> BTreeMap<&'static str, Option<&'static str>> {
    let (_, variables) = PIPE_YML.split_once("\nvariables:\n").unwrap();
    let (variables, _) = variables.split_once("\nrepository:").unwrap();
    let entries = variables.split("  - name: ").skip(1).map(|entry| {
        let (name, rest) = entry.split_once('\n').unwrap_or((entry, ""));
        let default = rest.trim().strip_prefix("default: ");
        let default = default.map(|value| value.trim_matches(['"', '\'']));
        (name, default.filter(|value| !value.starts_with('$')))
    });
    entries.collect()
}

/// The names of the variables that a struct reads.
fn variables_of<T: for<'de> serde::Deserialize<'de>>() -> Vec<String> {
    let names = serde_introspect::<T>();
    names.iter().map(|name| name.to_uppercase()).collect()
}

fn set<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    let names = names.into_iter();
    names.map(|name| name.as_ref().to_owned()).collect()
}

#[track_caller]
fn assert_same(place: &str, names: &BTreeSet<String>, read: &BTreeSet<String>) {
    let missing: Vec<_> = read.difference(names).collect();
    assert!(missing.is_empty(), "{place} lacks {missing:?}");
    let unknown: Vec<_> = names.difference(read).collect();
    assert!(
        unknown.is_empty(),
        "{place} has {unknown:?}, which nothing reads"
    );
}

#[test]
fn pipe_yml_and_the_readme_list_the_settings_that_are_read() {
    let settings = set(variables_of::<RawSettings>());
    assert!(settings.len() > 20);
    assert_same("pipe.yml", &set(pipe_yml().into_keys()), &settings);
    let yaml = set(readme_yaml().into_keys());
    assert_same("README's YAML block", &yaml, &settings);
    let [own, of_aws] = readme_tables().map(|rows| set(rows.iter().flat_map(|row| &row.names)));
    assert_same("README's table of variables", &own, &settings);
    let mut aws = set(variables_of::<RawAws>());
    // Only the SDK reads it.
    aws.insert("NO_PROXY".to_owned());
    assert_same("README's table of AWS's variables", &of_aws, &aws);
}

/// The settings of development and of production with one more variable, or what is invalid, as text.
fn effect(variable: Option<(&str, &str)>) -> [String; 2] {
    [false, true].map(|production| {
        let in_ci = [
            ("BITBUCKET_BUILD_NUMBER", "57"),
            ("BITBUCKET_BRANCH", "develop"),
        ];
        let variables = GOOD.into_iter().chain(in_ci).chain(variable);
        let raw: Raw = variables.collect();
        let flags = Flags {
            production,
            ..Flags::default()
        };
        let settings = Settings::new(flags, &raw, config(), None);
        format!("{} {settings:?}", raw.debug())
    })
}

#[test]
fn the_defaults_in_pipe_yml_and_the_readme_are_the_ones_of_the_program() {
    let unset = effect(None);
    let [rows, _] = readme_tables();
    for row in &rows {
        let code = row
            .default
            .strip_prefix('`')
            .and_then(|cell| cell.strip_suffix('`'));
        let in_readme = code.filter(|default| !default.contains('`'));
        for name in &row.names {
            let default = pipe_yml().get(name).copied().flatten();
            assert_eq!(
                in_readme, default,
                "`{name}` in README's table and in pipe.yml"
            );
            if let Some(default) = default {
                assert_eq!(effect(Some((name, default))), unset, "`{name}` in pipe.yml");
            }
        }
    }
}

#[test]
fn a_boolean_is_called_one_and_has_its_default_in_pipe_yml_unless_that_depends_on_the_environment()
{
    let unset = effect(None);
    for (name, r#type) in readme_yaml() {
        let [invalid, _] = effect(Some((name, "neither")));
        let is_boolean = invalid.contains("expected `true` or `false`");
        assert_eq!(
            r#type == "boolean",
            is_boolean,
            "`{name}` in README's YAML block"
        );
        if is_boolean {
            let of_program: Vec<&str> = ["true", "false"]
                .into_iter()
                .filter(|value| effect(Some((name, value))) == unset)
                .collect();
            assert!(of_program.len() < 2, "`{name}` changes nothing");
            let default = pipe_yml().get(name).copied().flatten();
            assert_eq!(default, of_program.first().copied(), "`{name}` in pipe.yml");
        }
    }
}

proptest::proptest! {
    #![proptest_config(crate::common::testing::cases(2_000))]

    /// No value panics, and no key of an object leaves the folder that the settings name.
    #[test]
    fn whatever_the_variables_hold_the_keys_stay_in_their_folder(
        values in proptest::collection::vec(
            (
                proptest::sample::select([variables_of::<RawSettings>(), variables_of::<RawBuild>(), variables_of::<RawTrust>()].concat()),
                "[ -~]{0,12}|[a-z./%*-]{0,20}|\\PC{0,8}",
            ),
            1..5,
        )
    ) {
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Ok(settings) = settings(&values, ConfigJs::default()) {
            let prefix = settings.target.prefix.as_str();
            for key in settings.keys() {
                let key = key.as_str();
                let inside = key.strip_prefix(prefix).map(|file| file.trim_start_matches('/'));
                proptest::prop_assert!(
                    inside.and_then(|file| file.strip_suffix(".js")).is_some_and(|name| !name.contains('/')),
                    "{key} is not in {prefix}"
                );
                proptest::prop_assert!(!key.split('/').any(|part| matches!(part, "" | "." | "..")), "{key}");
                proptest::prop_assert!(!key.contains(['*', '?']), "{key} is a wildcard of IAM");
            }
        }
    }
}
