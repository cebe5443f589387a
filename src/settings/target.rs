//! What is published where: containers, bucket, folders and region, from variables or from Mojito's `config.js`.

use super::environment::Environment;
use super::names::{
    parse_region, BucketName, CdnPath, ContainerName, ObjectKey, Prefix, MAX_PATHS,
};
use super::problems::{InvalidSetting, Problems};
use super::raw::RawSettings;
use super::variables::Variables;
use crate::mojito::config_js::{self, ConfigJs, Unknown};

/// Containers of one run: an invalidation tells of no more of them, and each is held in memory until it is sent.
pub(crate) const MAX_CONTAINERS: usize = MAX_PATHS;

/// A value of `config.js`.
struct Wanted {
    key: &'static str,
    /// The key in a message.
    setting: &'static str,
    /// The variable that overrides it.
    variable: &'static str,
}

const CONTAINER_NAME: Wanted = Wanted {
    key: "containerName",
    setting: "config.js containerName",
    variable: "CONTAINER_NAME",
};
const S3_BUCKET_DEV: Wanted = Wanted {
    key: "s3BucketDev",
    setting: "config.js s3BucketDev",
    variable: "S3_BUCKET",
};
const S3_BUCKET_PRD: Wanted = Wanted {
    key: "s3BucketPRD",
    setting: "config.js s3BucketPRD",
    variable: "S3_BUCKET",
};
const S3_REGION: Wanted = Wanted {
    key: "s3Region",
    setting: "config.js s3Region",
    variable: "AWS_DEFAULT_REGION",
};

/// What is published where.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) containers: Vec<ContainerName>,
    pub(crate) bucket: BucketName,
    /// The folder in the bucket.
    pub(crate) prefix: Prefix,
    /// The folder as the CDN's visitors see it.
    pub(crate) cdn_prefix: Prefix,
    /// The bucket's region.
    pub(crate) region: String,
}

impl Target {
    /// `None` if anything is wrong, which `check` then knows.
    ///
    /// `profile_region` is the region of AWS's profile, the last resort for the bucket's region.
    pub(crate) fn new(
        check: &mut Problems,
        variables: &Variables,
        raw: &RawSettings,
        environment: Option<Environment>,
        config: ConfigJs,
        profile_region: Option<&str>,
    ) -> Option<Self> {
        let mut config = Config {
            file: config,
            unknown: Vec::new(),
        };
        let containers = containers(check, variables, &mut config);
        let (bucket, bucket_prefix) =
            bucket(check, raw, environment, &mut config).unwrap_or_default();
        let prefix = match (&raw.s3_prefix, bucket_prefix) {
            (Some(prefix), _) => check.parse("S3_PREFIX", prefix, Prefix::parse),
            (None, Some(prefix)) => Some(prefix),
            (None, None) => environment.map(Environment::default_prefix),
        };
        let cdn_prefix = match &raw.cdn_prefix {
            Some(prefix) => check.parse("CDN_PREFIX", prefix, Prefix::parse),
            None => prefix.clone(),
        };
        if containers.len() > MAX_CONTAINERS {
            check.push(
                "CONTAINER_NAME",
                format!(
                    "names {} containers, expected at most {MAX_CONTAINERS}, as CloudFront works on {MAX_PATHS} paths at a time; \
                     publish them in several runs",
                    containers.len()
                ),
            );
        }
        if let Some(prefix) = &cdn_prefix {
            let path = |name| CdnPath::new(prefix, &format!("{name}.pretty.js"));
            if !containers.iter().all(|name| path(name).fits()) {
                check.push(
                    "CDN_PREFIX",
                    "makes a path that is longer than the 4,000 characters CloudFront allows; shorten it",
                );
            }
        }
        if let Some(prefix) = &prefix {
            let key = |name| ObjectKey::new(prefix, &format!("{name}.pretty.js"));
            if !containers.iter().all(|name| key(name).fits()) {
                check.push(
                    "CONTAINER_NAME",
                    "makes a key that is longer than the 1,024 bytes S3 allows; shorten it or `S3_PREFIX`",
                );
            }
        }
        let region = region(check, raw, profile_region, &mut config);
        config.report(check);
        Some(Self {
            containers,
            bucket: bucket?,
            prefix: prefix?,
            cdn_prefix: cdn_prefix?,
            region: region?,
        })
    }
}

/// `config.js`, and the variables to set where it cannot be read: a problem with it matters only to what is wanted of it.
struct Config {
    file: ConfigJs,
    unknown: Vec<&'static str>,
}

impl Config {
    /// A value that is wanted. What is wrong with it is pushed, and so is `missing` if it is absent.
    fn get(&mut self, check: &mut Problems, wanted: &Wanted, missing: &str) -> Option<String> {
        let Wanted {
            key,
            setting,
            variable,
        } = *wanted;
        match self.file.get(key) {
            Ok(Some(value)) => return Some(value.to_owned()),
            Ok(None) => check.push(variable, missing),
            Err(Unknown::File) => self.unknown.push(variable),
            Err(Unknown::Value(problem)) => {
                let problem = format!("{problem}\nwrite it as a plain string, or set `{variable}`");
                check.ok::<()>(Err(InvalidSetting::lines(setting, &problem)));
            }
        }
        None
    }

    /// Pushes what is wrong with the whole file, once for all that was wanted of it.
    fn report(&self, check: &mut Problems) {
        let Some(problem) = self.file.problem() else {
            return;
        };
        if !self.unknown.is_empty() {
            let variables = self.unknown.join("` and `");
            let problem = format!("{problem}\nfix it, or set `{variables}`");
            check.ok::<()>(Err(InvalidSetting::lines(config_js::FILE, &problem)));
        }
    }
}

fn containers(
    check: &mut Problems,
    variables: &Variables,
    config: &mut Config,
) -> Vec<ContainerName> {
    let Some(mut names) = check.ok(variables.list("CONTAINER_NAME")) else {
        return Vec::new();
    };
    let mut setting = "CONTAINER_NAME";
    if names.is_empty() {
        let missing =
            "is not set, and no `config.js` with a `containerName` is here; set it, or run this in the root of the Mojito repository";
        names.extend(config.get(check, &CONTAINER_NAME, missing));
        setting = CONTAINER_NAME.setting;
    }
    names
        .iter()
        .filter_map(|name| check.parse(setting, name, ContainerName::parse))
        .collect()
}

/// `BUCKET`, or `BUCKET/PREFIX` as Mojito writes it.
fn bucket(
    check: &mut Problems,
    raw: &RawSettings,
    environment: Option<Environment>,
    config: &mut Config,
) -> Option<(Option<BucketName>, Option<Prefix>)> {
    let (setting, value) = if let Some(bucket) = &raw.s3_bucket {
        ("S3_BUCKET", bucket.clone())
    } else {
        let wanted = match environment? {
            Environment::Production => S3_BUCKET_PRD,
            Environment::Development => S3_BUCKET_DEV,
        };
        let setting = wanted.setting;
        let missing = format!(
            "is not set, and no `{setting}` is here either; set it to `BUCKET` or `BUCKET/PREFIX`"
        );
        (setting, config.get(check, &wanted, &missing)?)
    };
    if value.contains("//") || value.starts_with("arn:") {
        let expected = "`BUCKET` or `BUCKET/PREFIX`, without `s3://` and no ARN";
        check.ok::<()>(Err(InvalidSetting::value(setting, &value, expected)));
        return None;
    }
    let (name, folder) = value.split_once('/').unwrap_or((&value, ""));
    let bucket = check.parse(setting, name, BucketName::parse);
    let prefix = (!folder.is_empty())
        .then(|| check.parse(setting, folder, Prefix::parse))
        .flatten();
    Some((bucket, prefix))
}

fn region(
    check: &mut Problems,
    raw: &RawSettings,
    profile_region: Option<&str>,
    config: &mut Config,
) -> Option<String> {
    if let Some(region) = &raw.aws_default_region {
        return check.parse("AWS_DEFAULT_REGION", region, parse_region);
    }
    if let Some(region) = &raw.aws_region {
        return check.parse("AWS_REGION", region, parse_region);
    }
    if let (Ok(None), Some(region)) = (config.file.get(S3_REGION.key), profile_region) {
        return check.parse("region of the AWS profile", region, parse_region);
    }
    let missing =
        "is not set, and neither `s3Region` of `config.js` nor the AWS profile names a region; set it to the bucket's region, such \
         as `ap-southeast-2`";
    let region = config.get(check, &S3_REGION, missing)?;
    check.parse(S3_REGION.setting, &region, parse_region)
}
