use std::collections::{BTreeMap, BTreeSet};

use super::raw::{RawAws, RawBuild, RawSettings, RawTrust};

use super::variables::names_of;
use super::*;
use crate::common::testing::rows;

const GOOD: [(&str, &str); 5] = [
    ("CONTAINER_NAME", "mojito"),
    ("S3_BUCKET", "acme"),
    ("AWS_DEFAULT_REGION", "ap-southeast-2"),
    ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"),
];

/// The settings, or all problems, a paragraph each.
fn settings_of(
    production: bool,
    raw: &Raw,
    config: ConfigJs,
    profile_region: Option<&str>,
) -> Result<Settings, String> {
    let flags = Flags {
        production,
        ..Flags::default()
    };
    Settings::new(flags, raw, config, profile_region).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.join("\n")
    })
}

/// The settings of development with more variables.
fn settings(variables: &[(&str, &str)], config: ConfigJs) -> Result<Settings, String> {
    let raw = GOOD.iter().chain(variables).copied().collect();
    settings_of(false, &raw, config, None)
}

fn config() -> ConfigJs {
    ConfigJs::parse(
        "module.exports = { containerName: 'other', s3BucketDev: 'other/dev', s3BucketPRD: 'other/prd', s3Region: 'eu-west-1' }",
    )
}

/// What is published where, in a line.
fn target(settings: &Settings) -> String {
    let target = &settings.target;
    let (containers, cdn) = (&target.containers, &target.cdn_prefix);
    let place = format!("{}/{} in {}", target.bucket, target.prefix, target.region);
    format!("{} to {place}, {cdn} at the CDN", containers[0])
}

#[test]
fn variables_beat_the_configuration_which_beats_the_defaults_and_the_profile() {
    let from_variables = target(&settings(&[], config()).unwrap());
    let expected = "mojito to acme/jsdev in ap-southeast-2, jsdev at the CDN";
    assert_eq!(from_variables, expected);
    for (production, folder) in [(false, "dev"), (true, "prd")] {
        let nothing = Raw::from_iter([]);
        let settings = settings_of(production, &nothing, config(), Some("us-east-1")).unwrap();
        let expected = format!("other to other/{folder} in eu-west-1, {folder} at the CDN");
        assert_eq!(target(&settings), expected);
        assert_eq!(settings.pretty, !production);
    }
}

/// The settings, or all problems, without some variables and with the region `us-east-1` of a profile.
fn with_config(config: &str, unset: &[&str]) -> Result<Settings, String> {
    let is_set = |(name, _): &(&str, &str)| !unset.contains(name);
    let raw = GOOD.into_iter().filter(is_set).collect();
    settings_of(false, &raw, ConfigJs::parse(config), Some("us-east-1"))
}

#[test]
fn the_region_of_the_profile_is_used_where_config_js_certainly_names_none() {
    for [config] in rows(
        "module.exports = {}
         module.exports = { containerName: f() }
         module.exports = { ...f(), s3Region: '' }",
    ) {
        let settings = with_config(config, &["AWS_DEFAULT_REGION"]).unwrap();
        assert_eq!(settings.target.region, "us-east-1");
    }
}

#[test]
fn the_region_of_the_profile_is_refused_where_config_js_may_name_one() {
    for [config, start] in rows(
        "module.exports = {                 | `config.js` cannot be read:
         module.exports = { s3Region: f() } | `config.js s3Region` is computed
         module.exports = { s3Region: 2 }   | `config.js s3Region` is a number
         module.exports = { ...f() }        | `config.js s3Region` may be set by this",
    ) {
        let problems = with_config(config, &["AWS_DEFAULT_REGION"]).unwrap_err();
        let end = ", or set `AWS_DEFAULT_REGION`";
        assert!(problems.starts_with(start), "{problems}");
        assert!(problems.ends_with(end), "{problems}");
        assert!(with_config(config, &[]).is_ok());
    }
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
        "`config.js` cannot be read: what it exports is computed, and it is only parsed, never run\n \
         --> config.js:1:18\n  |\n1 | module.exports = f()\n  |                  ^^^\n\
         fix it, or set `CONTAINER_NAME`, `S3_BUCKET` and `AWS_DEFAULT_REGION`",
    );
    case(
        "module.exports = {\n  containerName: f(),\n  s3BucketDev: 7,\n}",
        &all[..2],
        "`config.js containerName` is computed, but this file is only parsed, never run\n \
         --> config.js:2:18\n  |\n2 |   containerName: f(),\n  |                  ^^^\n\
         write it as a plain string, or set `CONTAINER_NAME`\n\
         `config.js s3BucketDev` is a number, expected a string\n \
         --> config.js:3:16\n  |\n3 |   s3BucketDev: 7,\n  |                ^\n\
         write it as a plain string, or set `S3_BUCKET`",
    );
}

/// The distributions and the URL of both environments by `config.js`, or what is wrong.
#[track_caller]
fn of_cdn(config: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let raw: Raw = GOOD.iter().chain(variables).copied().collect();
    let of = |production| {
        let config = ConfigJs::parse(format!("module.exports = {{ {config} }};"));
        let settings = settings_of(production, &raw, config, None)?;
        let mut found = settings
            .distributions
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        found.extend(settings.public_url.map(|url| url.to_string()));
        found.extend(settings.warnings);
        Ok::<_, String>(found.join(" "))
    };
    [true, false]
        .map(|it| of(it).unwrap_or_else(|problems| problems))
        .into()
}

#[test]
fn config_js_names_distributions_and_urls_for_each_environment() {
    let config = "distributionIdPRD: ['E1111111', 'E2222222', '', 'E1111111'], distributionIdDev: 'E3333333', \
                  publicUrlPRD: 'https://www.example.com', publicUrlDev: 'https://dev.example.com'";
    let expected = [
        "E1111111 E2222222 https://www.example.com/",
        "E3333333 https://dev.example.com/",
    ];
    assert_eq!(of_cdn(config, &[]), expected);
    let variables = [
        ("DISTRIBUTION_ID", "E4444444"),
        ("PUBLIC_URL", "https://other.example.com"),
    ];
    let expected = "E4444444 https://other.example.com/";
    assert_eq!(of_cdn(config, &variables), [expected; 2]);
    // Nothing of them is wanted.
    let config =
        "distributionIdPRD: 7, distributionIdDev: f(), publicUrlPRD: [], publicUrlDev: f()";
    assert_eq!(of_cdn(config, &variables), [expected; 2]);
    for config in [
        "",
        "distributionIdPRD: null, distributionIdDev: [], publicUrlPRD: '', publicUrlDev: undefined",
    ] {
        assert_eq!(of_cdn(config, &[]), ["", ""]);
    }
}

#[test]
fn what_config_js_says_of_the_cdn_is_refused_in_its_place() {
    for [config, problem] in rows(
        "distributionIdPRD: 7             | `config.js distributionIdPRD` is a number, expected a string
         distributionIdPRD: ['E1', f()]   | `config.js distributionIdPRD` is an array of other things than plain strings
         distributionIdPRD: [['E1']]      | `config.js distributionIdPRD` is an array of other things than plain strings
         distributionIdPRD: ['E1', ...f]  | `config.js distributionIdPRD` is an array of other things than plain strings
         distributionIdPRD: process.env.E | `config.js distributionIdPRD` is computed, but this file is only parsed, never run
         distributionIdPRD: 'E1*'         | `config.js distributionIdPRD` is `E1*`, expected a distribution ID
         publicUrlPRD: ['https://a.com']  | `config.js publicUrlPRD` is an array, expected a string
         publicUrlPRD: 'a.com'            | `config.js publicUrlPRD` is `a.com`, expected a URL that starts with
         publicUrlPRD: 'https://a.com/js' | `config.js publicUrlPRD` is `https://a.com/js`, expected only the CDN's base URL
         publicUrlPRD: `https://${a}`     | `config.js publicUrlPRD` is computed",
    ) {
        let [production, development]: [String; 2] = of_cdn(config, &[]).try_into().unwrap();
        assert!(production.starts_with(problem), "{config}: {production}");
        assert_eq!(development, "", "{config}");
    }
    let problems = of_cdn("distributionIdPRD: f()", &[]).remove(0);
    assert!(
        problems.ends_with("\nwrite it as a plain string, or set `DISTRIBUTION_ID`"),
        "{problems}"
    );
}

#[test]
fn a_distribution_that_config_js_may_have_is_warned_of_and_a_url_is_not() {
    for [config, start] in rows(
        "...base            | `config.js distributionIdPRD` may be set by this
         [f()]: 'E1111111'  | `config.js distributionIdPRD` may be set by this
         }; f(module); a = {| `config.js` cannot be read",
    ) {
        let warned = of_cdn(config, &[]).remove(0);
        assert!(warned.starts_with(start), "{warned}");
        assert!(
            warned.ends_with("if it has a `distributionIdPRD`, set `DISTRIBUTION_ID`"),
            "{warned}"
        );
        let set = of_cdn(config, &[("DISTRIBUTION_ID", "E4444444")]);
        assert_eq!(set[0], "E4444444");
    }
}

#[test]
fn a_path_of_cloudfronts_length_has_no_room_for_a_wildcard() {
    let folder = "a".repeat(4_000 - "//mojito.pretty.js".len());
    let longest = [
        ("CDN_PREFIX", &*folder),
        ("DISTRIBUTION_ID", "E1A2B3C4D5E6F7"),
    ];
    assert!(settings(&longest, ConfigJs::default()).is_ok());
    let variants = [&longest[..], &[("INVALIDATE_VARIANTS", "true")]].concat();
    let problems = settings(&variants, ConfigJs::default()).unwrap_err();
    assert!(
        problems.starts_with("`CDN_PREFIX` makes a path longer than the 4,000 characters"),
        "{problems}"
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let names = "S3_PREFIX DISTRIBUTION_ID WAIT ACL AWS_CA_BUNDLE";
    let invalid: Vec<_> = names.split(' ').map(|name| (name, "a//b")).collect();
    let problems = settings(&invalid, ConfigJs::default()).unwrap_err();
    let reported = problems.lines().filter_map(|line| line.split('`').nth(1));
    assert_eq!(reported.collect::<Vec<_>>().join(" "), names, "{problems}");
}

#[test]
fn secrets_are_not_printed() {
    let valid = format!("{:?}", settings(&[], config()).unwrap());
    let secret = "https://user:hunter2@example.com";
    let proxy = ("HTTPS_PROXY", "http://user:hunter2@a proxy");
    let addresses = [proxy, ("PUBLIC_URL", secret), ("AWS_ENDPOINT_URL", secret)];
    let problems = settings(&addresses, config()).unwrap_err();
    assert_eq!(problems.lines().count(), addresses.len(), "{problems}");
    assert!(
        !format!("{valid}{problems}").contains("hunter2"),
        "{problems}"
    );
}

const README: &str = include_str!("../../README.md");
const PIPE_YML: &str = include_str!("../../pipe.yml");

/// The names and the default in a row of README's tables of variables.
type Row = (Vec<&'static str>, &'static str);

/// README's two tables of variables: this program's settings, and those of every AWS tool.
fn readme_tables() -> [Vec<Row>; 2] {
    let headers = ["| Default | Meaning | IAM actions |", "| Meaning |"];
    headers.map(|header| {
        let (_, table) = README.split_once(&format!("| Variable {header}")).unwrap();
        let lines = table.lines().skip(2);
        let lines = lines.take_while(|line| line.starts_with('|'));
        let cells = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let names = |cell: &'static str| cell.split(", ").map(|name| name.trim_matches('`'));
        let row = |cells: Vec<&'static str>| (names(cells[1]).collect(), cells[2]);
        cells.map(row).collect()
    })
}

/// The names and types of README's YAML block: `NAME: '<TYPE>'`, some of them in comments.
fn readme_yaml() -> BTreeMap<&'static str, &'static str> {
    let (_, block) = README.split_once("```yaml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let types = block.lines().filter_map(|line| line.split_once(": '<"));
    let r#type = |(name, rest): (&'static str, &'static str)| {
        let (r#type, _) = rest.split_once('>').unwrap();
        (name.trim_start_matches(['#', ' ']), r#type)
    };
    types.map(r#type).collect()
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

/// A place has the names that are read, and no others.
#[track_caller]
fn assert_same<'a>(place: &str, names: impl IntoIterator<Item = &'a str>, read: &[String]) {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let read = read.iter().map(String::as_str).collect();
    let differences: Vec<_> = names.symmetric_difference(&read).collect();
    assert!(
        differences.is_empty(),
        "in {place} alone, or missing there: {differences:?}"
    );
}

#[test]
fn pipe_yml_the_readme_and_the_help_list_the_settings_that_are_read() {
    let settings = names_of::<RawSettings>();
    assert!(settings.len() > 20);
    assert_same("pipe.yml", pipe_yml().into_keys(), &settings);
    assert_same("README's YAML block", readme_yaml().into_keys(), &settings);
    let [own, of_aws] = readme_tables().map(|rows| rows.into_iter().flat_map(|(names, _)| names));
    assert_same("README's table of variables", own, &settings);
    let mut aws = names_of::<RawAws>();
    // Only the SDK reads it.
    aws.push("NO_PROXY".to_owned());
    assert_same("README's table of AWS's variables", of_aws, &aws);
    let in_help = help::SETTINGS.map(|(name, _)| name);
    assert_same("the settings of `--help`", in_help, &settings);
    let in_help = help::SETTINGS_OF_AWS.map(|(name, _)| name);
    assert_same("AWS's variables of `--help`", in_help, &aws);
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
        let settings = settings_of(production, &raw, config(), None);
        format!("{} {settings:?}", raw.debug())
    })
}

#[test]
fn the_defaults_in_pipe_yml_and_the_readme_are_the_ones_of_the_program() {
    let unset = effect(None);
    let [rows, _] = readme_tables();
    for (names, cell) in rows {
        let code: Vec<&str> = cell.split('`').collect();
        let in_readme = match code[..] {
            ["", default, ""] => Some(default),
            _ => None,
        };
        for name in names {
            let default = pipe_yml()[name];
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
        let place = format!("`{name}` in README's YAML block or pipe.yml");
        assert_eq!(r#type == "boolean", is_boolean, "{place}");
        if is_boolean {
            let is_default = |value: &&str| effect(Some((name, value))) == unset;
            let defaults: Vec<&str> = ["true", "false"].into_iter().filter(is_default).collect();
            assert!(defaults.len() < 2, "`{name}` changes nothing");
            assert_eq!(pipe_yml()[name], defaults.first().copied(), "{place}");
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
                proptest::sample::select([names_of::<RawSettings>(), names_of::<RawBuild>(), names_of::<RawTrust>()].concat()),
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
