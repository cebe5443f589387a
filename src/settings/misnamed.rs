//! Variables that are no setting, but nearly one or a neighbouring tool's. `DRYRUN` would otherwise publish what was to be
//! previewed.
//!
//! A pipe gets only what its step passes to it, so there they are refused. Elsewhere the environment is full of names that
//! have nothing to do with this program: only the closest ones are warned of, and only if the setting itself is not given.

use std::collections::BTreeSet;

use strsim::osa_distance;

use super::problems::{InvalidSetting, Problems};
use super::raw::names;
use super::variables::{Variables, LISTS};

/// Variables of other tools for S3 and CloudFront that are not needed here, and why.
const NOT_NEEDED: [(&str, &str); 10] = [
    ("AWS_CF_PATHS", INVALIDATED),
    (
        "CONTENT_ENCODING",
        "the files are always compressed with gzip",
    ),
    ("DELETE_FLAG", "nothing is ever deleted from the bucket"),
    ("EXTRA_ARGS", "the AWS CLI is not used"),
    ("INVALIDATE", INVALIDATED_ALWAYS),
    ("INVALIDATE_CACHE", INVALIDATED_ALWAYS),
    ("INVALIDATION_PATHS", INVALIDATED),
    ("PATHS", INVALIDATED),
    ("PRE_EXECUTION_SCRIPT", "no script is run"),
    ("STORAGE_CLASS", "the bucket's default is used"),
];

const INVALIDATED: &str =
    "exactly what is published is invalidated, and `CDN_PREFIX` is its folder in the URL";

const INVALIDATED_ALWAYS: &str =
    "what is published is invalidated wherever `DISTRIBUTION_ID` is set";

/// What other tools, or people in a hurry, call a setting.
const OTHER_NAMES: [(&str, &str); 34] = [
    ("ACTION", "COMMAND"),
    ("AWS_BUCKET", "S3_BUCKET"),
    ("AWS_CF_DISTRIBUTION", "DISTRIBUTION_ID"),
    ("AWS_CLOUDFRONT_ID", "DISTRIBUTION_ID"),
    ("AWS_KMS_KEY_ID", "KMS_KEY_ARN"),
    ("BASE_URL", "PUBLIC_URL"),
    ("BUCKET_NAME", "S3_BUCKET"),
    ("CDN_URL", "PUBLIC_URL"),
    ("CF_DISTRIBUTION_ID", "DISTRIBUTION_ID"),
    ("CF_ID", "DISTRIBUTION_ID"),
    ("CMD", "COMMAND"),
    ("CLOUDFRONT_DISTRIBUTION", "DISTRIBUTION_ID"),
    ("CLOUDFRONT_DISTRIBUTION_ID", "DISTRIBUTION_ID"),
    ("CLOUDFRONT_ID", "DISTRIBUTION_ID"),
    ("CLOUDFRONT_URL", "PUBLIC_URL"),
    ("DEPLOY_ENV", "ENVIRONMENT"),
    ("DEPLOYMENT_ENVIRONMENT", "ENVIRONMENT"),
    ("DEST_DIR", "S3_PREFIX"),
    ("DRY", "DRY_RUN"),
    ("ENV", "ENVIRONMENT"),
    ("EXPIRES", "CACHE_CONTROL"),
    ("KMS_KEY_ID", "KMS_KEY_ARN"),
    ("LOCAL_DIR", "LOCAL_PATH"),
    ("NOOP", "DRY_RUN"),
    ("PREVIEW", "DRY_RUN"),
    ("PRODUCTION", "ENVIRONMENT"),
    ("S3_ACL", "ACL"),
    ("S3_PATH", "S3_PREFIX"),
    ("SOURCE_DIR", "LOCAL_PATH"),
    ("SSE_KMS_KEY_ID", "KMS_KEY_ARN"),
    ("STAGE", "ENVIRONMENT"),
    ("VALIDATION", "VALIDATE"),
    ("VERBOSE", "DEBUG"),
    ("WAIT_FOR_INVALIDATION", "WAIT"),
];

/// Adds a problem, or outside a pipe a warning, for each name that looks like a setting and is none.
pub(super) fn check(
    variables: &Variables,
    in_pipe: bool,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) {
    let settings = names();
    let settings: Vec<Name> = settings.iter().map(|name| Name::new(name)).collect();
    let given: BTreeSet<&str> = variables
        .names()
        .map(|name| variable_of(variables, name))
        .collect();
    for name in given {
        let is_list = LISTS.contains(&name);
        if settings.iter().any(|setting| setting.text == name) {
            if in_pipe && !is_list && !variables.is_set(name) {
                problems.push(name, "takes one value, and not a list");
            }
            continue;
        }
        if is_of_the_system(name, variables) {
            continue;
        }
        let not_needed = NOT_NEEDED.iter().find(|(other, _)| *other == name);
        let advice = not_needed
            .map(|(_, why)| format!("{why}; remove it"))
            .or_else(|| {
                let meant = meant(name, &settings, in_pipe)?;
                let is_given =
                    variables.is_set(meant) || variables.is_set(&format!("{meant}_COUNT"));
                (in_pipe || !is_given).then(|| format!("did you mean `{meant}`?"))
            });
        let Some(advice) = advice else { continue };
        let problem = format!("is not a setting of {}; {advice}", env!("CARGO_PKG_NAME"));
        if in_pipe {
            problems.push(name, problem);
        } else {
            warnings.push(InvalidSetting::new(name, problem).to_string());
        }
    }
}

/// The variable that a name belongs to, as Bitbucket passes a list `NAME` as `NAME_COUNT`, `NAME_0` and so on.
fn variable_of<'a>(variables: &Variables, name: &'a str) -> &'a str {
    let Some((list, suffix)) = name.rsplit_once('_') else {
        return name;
    };
    let is_index = !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit());
    let is_element =
        is_index && (LISTS.contains(&list) || variables.is_set(&format!("{list}_COUNT")));
    let is_count =
        suffix == "COUNT" && (LISTS.contains(&list) || variables.is_set(&format!("{list}_0")));
    if is_element || is_count {
        list
    } else {
        name
    }
}

/// Whether Bitbucket, Docker or AWS's own tools set a name, so that it cannot be a mistake.
fn is_of_the_system(name: &str, variables: &Variables) -> bool {
    let upper = name.to_ascii_uppercase();
    let start = [
        "BITBUCKET_",
        "PIPELINES_",
        "DOCKER_",
        "AWS_ENDPOINT_URL_",
        "AWS_CONTAINER_",
    ];
    start.iter().any(|start| upper.starts_with(start))
        || upper.ends_with("_PROXY")
        // The role of a web identity.
        || (name == "AWS_ROLE_ARN" && variables.is_set("AWS_WEB_IDENTITY_TOKEN_FILE"))
}

/// The setting that a name is probably meant to be.
fn meant<'a>(name: &str, settings: &[Name<'a>], in_pipe: bool) -> Option<&'a str> {
    // Elsewhere, most of these mean something else.
    let is_other = |(other, setting): &&(&str, &str)| {
        *other == name && (in_pipe || *setting == "DISTRIBUTION_ID")
    };
    if let Some((_, setting)) = OTHER_NAMES.iter().find(is_other) {
        return Some(setting);
    }
    let name = Name::new(name);
    let near = settings.iter().filter_map(|setting| {
        let distance = name.distance(setting, in_pipe)?;
        (!setting.text.ends_with("_PROXY")).then_some((distance, setting.text))
    });
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, setting)| setting)
}

/// The name of a variable or a setting.
struct Name<'a> {
    text: &'a str,
    /// Without what people write differently: case, `_` and `-`.
    letters: String,
}

impl<'a> Name<'a> {
    fn new(text: &'a str) -> Self {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        let letters = letters.map(|letter| letter.to_ascii_uppercase()).collect();
        Self { text, letters }
    }

    /// How many letters differ from those of a setting that may be meant. `None` if it is too far away.
    fn distance(&self, setting: &Self, in_pipe: bool) -> Option<usize> {
        let most = self.tolerance(setting, in_pipe);
        // A look at the lengths is enough for most of what an environment holds.
        let may_be_near = |most| self.letters.len().abs_diff(setting.letters.len()) <= most;
        let is_candidate = most.is_some_and(may_be_near);
        let shares_words = in_pipe && self.shares_words(setting);
        if !is_candidate && !shares_words {
            return None;
        }
        let distance = osa_distance(&self.letters, &setting.letters);
        (shares_words || most.is_some_and(|most| distance <= most)).then_some(distance)
    }

    /// How many letters may differ from those of a setting. `None` if the name must be exact.
    fn tolerance(&self, setting: &Self, in_pipe: bool) -> Option<usize> {
        let length = setting.letters.len();
        let is_long =
            length >= 12 || (length >= 9 && self.letters.get(..4) == setting.letters.get(..4));
        match length {
            _ if in_pipe => Some((length + 2) / 4),
            _ if is_long && !setting.text.starts_with("AWS_") => Some(2),
            8.. => Some(1),
            6.. if setting.text.contains('_') => Some(1),
            // `debug`, `wait` and the like mean something else elsewhere.
            _ => None,
        }
    }

    /// Whether the name has all words of a setting and others (`AWS_S3_BUCKET`), or the longer part of them
    /// (`DISTRIBUTION`).
    fn shares_words(&self, setting: &Self) -> bool {
        let (given, wanted) = (self.words(), setting.words());
        let singular = |word: &'a str| word.trim_end_matches(['S', 's']);
        let is_same = |a: &'a str, b: &'a str| singular(a).eq_ignore_ascii_case(singular(b));
        let contains = |words: &[&'a str], word: &'a str| words.iter().any(|it| is_same(it, word));
        // AWS's tools have longer names of their own, such as `AWS_ACCOUNT_ID_ENDPOINT_MODE`.
        let may_have_more = wanted.len() > 1 && !setting.text.starts_with("AWS_");
        let is_longer_part = 2 * self.letters.len() >= setting.letters.len();
        (may_have_more && wanted.iter().all(|word| contains(&given, word)))
            || (is_longer_part && given.iter().all(|word| contains(&wanted, word)))
    }

    fn words(&self) -> Vec<&'a str> {
        self.text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    /// What is said of variables with these names, a line each.
    fn said(names: &str, in_pipe: bool) -> String {
        let variables = names.split(' ').map(|name| (name, "1")).collect();
        let (mut problems, mut warnings) = (Problems::default(), Vec::new());
        check(&variables, in_pipe, &mut problems, &mut warnings);
        assert!(if in_pipe {
            warnings.is_empty()
        } else {
            problems.0.is_empty()
        });
        let problems = problems.0.iter().map(ToString::to_string);
        problems.chain(warnings).collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    fn is_taken_for(name: &str, setting: &str, in_pipe: bool) {
        let variable = name.split("_COUNT").next().unwrap_or_default();
        let expected =
            format!("`{variable}` is not a setting of mojito-publish; did you mean `{setting}`?");
        assert_eq!(said(name, in_pipe), expected);
    }

    #[test]
    fn a_name_close_to_a_setting_is_taken_for_it_anywhere() {
        for [name, setting] in rows(
            "DRYRUN             | DRY_RUN
             dry_run            | DRY_RUN
             DRY-RUN            | DRY_RUN
             DRY_RUM            | DRY_RUN
             ONLY_NEWR          | ONLY_NEWER
             DISTRIBUTION_IDS   | DISTRIBUTION_ID
             DISTIBUTION_ID     | DISTRIBUTION_ID
             CACHECONTROL       | CACHE_CONTROL
             S3_BUCKETS         | S3_BUCKET
             PUBLICURL          | PUBLIC_URL
             PUBLIC_URI         | PUBLIC_URL
             CONTAINERS_NAMES   | CONTAINER_NAME
             ENVIROMENT         | ENVIRONMENT
             ONLY_NEWEST        | ONLY_NEWER
             VALIDTAE           | VALIDATE
             AWS_DEFAULT_REGOIN | AWS_DEFAULT_REGION
             AWS_PROFIL         | AWS_PROFILE
             DISTRIBUTION       | DISTRIBUTION_ID
             CLOUDFRONT_DISTRIBUTION_ID | DISTRIBUTION_ID
             CLOUDFRONT_ID      | DISTRIBUTION_ID
             METDATA            | METADATA
             META_DATA          | METADATA
             INVALIDATE_VARIANT | INVALIDATE_VARIANTS
             KMS_KEY_ARNS       | KMS_KEY_ARN",
        ) {
            is_taken_for(name, setting, true);
            is_taken_for(name, setting, false);
        }
    }

    #[test]
    fn in_a_pipe_a_name_need_not_be_as_close() {
        for [name, setting] in rows(
            "CONTAINERS          | CONTAINER_NAME
             CONTAINER           | CONTAINER_NAME
             NEWER_ONLY          | ONLY_NEWER
             BUCKET_NAME         | S3_BUCKET
             BUCKET              | S3_BUCKET
             AWS_S3_BUCKET       | S3_BUCKET
             S3_BUCKET_NAME      | S3_BUCKET
             PREFIX              | S3_PREFIX
             ENV                 | ENVIRONMENT
             REGION              | AWS_REGION
             AWS_ROLE_ARN        | AWS_OIDC_ROLE_ARN
             AWS_SECRET_KEY      | AWS_SECRET_ACCESS_KEY
             AWS_ACCESS_KEY      | AWS_ACCESS_KEY_ID
             AWS_BUCKET          | S3_BUCKET
             PRODUCTION          | ENVIRONMENT
             S3_ACL              | ACL
             VALIDATION          | VALIDATE
             WAIT_FOR_INVALIDATION | WAIT
             Debug               | DEBUG
             COMMANDS            | COMMAND
             CMD                 | COMMAND
             ACTION              | COMMAND
             KMS_KEY_ID          | KMS_KEY_ARN
             SSE_KMS_KEY_ID      | KMS_KEY_ARN
             KMS_KEY             | KMS_KEY_ARN
             KMS_ARN             | KMS_KEY_ARN
             AWS_KMS_KEY_ARN     | KMS_KEY_ARN
             WAITS               | WAIT",
        ) {
            is_taken_for(name, setting, true);
            assert_eq!(said(name, false), "");
        }
    }

    #[test]
    fn other_names_pass_without_a_word() {
        let system = "PATH HOME HOSTNAME TERM PWD SHLVL USER LOGNAME SHELL LANG LC_ALL TZ _ CI no_proxy https_proxy HTTP_PROXY \
                      ALL_PROXY DOCKER_HOST PIPELINES_JWT_TOKEN BITBUCKET_DEPLOYMENT_ENVIRONMENT BITBUCKET_BRANCH \
                      BITBUCKET_REPO_OWNER NO_COLOR AWS_DEFAULT_OUTPUT AWS_DEFAULT_PROFILE AWS_CONFIG_FILE AWS_MAX_ATTEMPTS \
                      AWS_SHARED_CREDENTIALS_FILE AWS_ENDPOINT_URL_SQS AWS_EXECUTION_ENV AWS_ACCOUNT_ID_ENDPOINT_MODE \
                      AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_EC2_METADATA_DISABLED AWS_RETRY_MODE AWS_SDK_LOAD_CONFIG AWS_PAGER \
                      AWS_STS_REGIONAL_ENDPOINTS AWS_ROLE_SESSION_NAME AWS_USE_FIPS_ENDPOINT SSL_CERT_FILE RUST_LOG \
                      WAIT_FOR_IT DEBUG_COLORS KEY NAME URL ID";
        let of_developers = "GOPROXY GOPATH GOROOT NODE_ENV NODE_PATH ACLOCAL_PATH MANPATH INFOPATH LIBRARY_PATH LOCPATH CONDA_PREFIX \
                             debug wait acl DEBUG_MODE NPM_CONFIG_PREFIX npm_config_local_prefix LS_COLORS EDITOR PAGER \
                             DISPLAY XDG_SESSION_ID XDG_DATA_DIRS VIRTUAL_ENV JAVA_HOME SSH_AUTH_SOCK DBUS_SESSION_BUS_ADDRESS \
                             DOCKER_BUILDKIT COMPOSE_PROJECT_NAME CONTAINER_ID TERM_SESSION_ID CLOUDSDK_CONFIG ENV STAGE \
                             BUILD_NUMBER BRANCH_NAME GIT_BRANCH RUNNER_NAME GITHUB_ENV AWS_ACCOUNT AWS_ROLE_ARN AWS_VAULT \
                             COMMAND_MODE PROMPT_COMMAND npm_command npm_lifecycle_event ACTION CMD KMS_KEY_ID \
                             AWS_SESSION_EXPIRATION AWS_CREDENTIAL_EXPIRATION PRETTIER DRY_RUNNER S3_BUCKET_COUNT WAIT_0";
        assert_eq!(said(system, true), "");
        assert_eq!(said(system, false), "");
        assert_eq!(said(of_developers, false), "");
        let variables = "AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE DISTRIBUTION_ID_COUNT DISTRIBUTION_ID_0 CONTAINER_NAME_1";
        assert_eq!(said(variables, true), "");
    }

    #[test]
    fn elsewhere_a_setting_that_is_given_is_not_missed() {
        assert_eq!(
            said("DISTRIBUTION_ID CLOUDFRONT_DISTRIBUTION_ID", false),
            ""
        );
        assert_eq!(said("DISTRIBUTION_ID_COUNT DISTRIBUTION_IDS", false), "");
        assert_ne!(said("DRY_RUN DRYRUN", true), "");
    }

    #[test]
    fn what_other_tools_need_is_refused_with_the_reason() {
        for name in [
            "PATHS",
            "DELETE_FLAG",
            "EXTRA_ARGS",
            "AWS_CF_PATHS",
            "INVALIDATE",
        ] {
            for in_pipe in [true, false] {
                let said = said(name, in_pipe);
                assert!(
                    said.starts_with(&format!("`{name}` is not a setting of mojito-publish; ")),
                    "{said}"
                );
                assert!(said.ends_with("; remove it"), "{said}");
            }
        }
    }

    #[test]
    fn a_list_is_one_name() {
        is_taken_for(
            "DISTRIBUTION_IDS_COUNT DISTRIBUTION_IDS_0 DISTRIBUTION_IDS_1",
            "DISTRIBUTION_ID",
            true,
        );
        assert_eq!(
            said("S3_BUCKET_COUNT S3_BUCKET_0 S3_BUCKET_1", true),
            "`S3_BUCKET` takes one value, and not a list"
        );
    }
}
