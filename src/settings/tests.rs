use std::collections::BTreeSet;

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
    let variables: Variables = GOOD.iter().chain(variables).copied().collect();
    Settings::new(Flags::default(), &variables, config, None)
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
        let settings =
            Settings::new(flags, &Variables::default(), config(), Some("us-east-1")).unwrap();
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

/// What is wrong with `config.js`, without some variables and with the region `us-east-1` of a profile.
fn with_config(config: &str, unset: &[&str]) -> Result<Settings, String> {
    let is_set = |(name, _): &(&str, &str)| !unset.contains(name);
    let variables: Variables = GOOD.into_iter().filter(is_set).collect();
    Settings::new(
        Flags::default(),
        &variables,
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
        "`config.js` cannot be read: only `module.exports = {...}` is read, after declarations if there are any\n \
         --> config.js:1:1\n  |\n1 | module.exports = f()\n  | ^^^^^^^^^^^^^^^^^^^^\n\
         fix it, or set `CONTAINER_NAME` and `S3_BUCKET` and `AWS_DEFAULT_REGION`",
    );
    case(
        "module.exports = {\n  containerName: f(),\n  s3BucketDev: 7,\n}",
        &all[..2],
        "`config.js containerName` is computed, and this file is read but never run\n \
         --> config.js:2:18\n  |\n2 |   containerName: f(),\n  |                  ^^^\n\
         write it as a plain string, or set `CONTAINER_NAME`\n\
         `config.js s3BucketDev` is not a string\n \
         --> config.js:3:16\n  |\n3 |   s3BucketDev: 7,\n  |                ^\n\
         write it as a plain string, or set `S3_BUCKET`",
    );
}

#[test]
fn all_that_is_wrong_is_reported_in_one_go() {
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

/// `NAME` of every row `` | `NAME`, `OTHER` | `` in the README's tables of variables.
fn names_in_readme() -> BTreeSet<String> {
    let readme = include_str!("../../README.md");
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    rows.flat_map(|cell| cell.split(['`', ',', ' ']))
        .filter(|name| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        })
        .filter(|name| name.chars().any(|c| c.is_ascii_uppercase()))
        .map(str::to_owned)
        .collect()
}

fn names_in_pipe_yml() -> BTreeSet<String> {
    let pipe = include_str!("../../pipe.yml");
    let variables = pipe.split_once("\nvariables:\n").unwrap().1;
    let variables = variables
        .lines()
        .take_while(|line| line.starts_with([' ', '#']) || line.is_empty());
    variables
        .filter_map(|line| line.trim().strip_prefix("- name: "))
        .map(str::to_owned)
        .collect()
}

fn names<T: for<'de> serde::Deserialize<'de>>() -> BTreeSet<String> {
    serde_introspect::<T>()
        .iter()
        .map(|name| name.to_uppercase())
        .collect()
}

#[test]
fn the_readme_and_pipe_yml_list_the_settings_that_are_read() {
    let settings = names::<RawSettings>();
    assert!(settings.len() > 20);
    assert_eq!(names_in_pipe_yml(), settings);
    let mut with_aws = settings;
    with_aws.extend(names::<RawAws>());
    with_aws.insert("NO_PROXY".to_owned());
    assert_eq!(names_in_readme(), with_aws);
}

#[test]
fn pipe_yml_has_the_defaults_of_the_settings() {
    let pipe = include_str!("../../pipe.yml");
    let default = |name: &str| {
        let after = pipe.split_once(&format!("- name: {name}\n")).unwrap().1;
        let line = after.lines().next().unwrap().trim();
        line.strip_prefix("default: ")
            .map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    let settings = settings(&[], ConfigJs::default()).unwrap();
    assert_eq!(
        default("CACHE_CONTROL").unwrap(),
        settings.cache_control.as_str()
    );
    assert_eq!(
        default("LOCAL_PATH").unwrap(),
        settings.local_path.to_str().unwrap()
    );
    for (name, value) in [
        ("WAIT", settings.wait),
        ("ONLY_NEWER", settings.only_newer),
        ("VALIDATE", settings.validate),
        ("DRY_RUN", settings.dry_run),
        ("DEBUG", debug(&Variables::default())),
    ] {
        assert_eq!(default(name).unwrap(), value.to_string(), "{name}");
    }
    // What depends on the environment or on `config.js` has no default of its own.
    for name in [
        "CONTAINER_NAME",
        "S3_BUCKET",
        "S3_PREFIX",
        "CDN_PREFIX",
        "PRETTY",
        "ENVIRONMENT",
    ] {
        assert_eq!(default(name), None, "{name}");
    }
}

proptest::proptest! {
    #![proptest_config(crate::common::testing::cases(2_000))]

    /// No value panics, and no key of an object leaves the folder that the settings name.
    #[test]
    fn whatever_the_variables_hold_the_keys_stay_in_their_folder(
        values in proptest::collection::vec(
            (
                proptest::sample::select(vec![
                    "CONTAINER_NAME", "S3_BUCKET", "S3_PREFIX", "CDN_PREFIX", "DISTRIBUTION_ID", "CACHE_CONTROL", "MAX_SIZE",
                    "PUBLIC_URL", "WAIT", "ACL", "ENVIRONMENT", "AWS_DEFAULT_REGION", "BITBUCKET_TAG", "BITBUCKET_BRANCH",
                ]),
                "[ -~]{0,12}|[a-z./%*-]{0,20}|\\PC{0,8}",
            ),
            1..5,
        )
    ) {
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
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
