//! What is published where: containers, bucket, folders and region, from variables or from Mojito's `config.js`.

use crate::check::{Check, Invalid};
use crate::config_js::ConfigJs;
use crate::environment::Environment;
use crate::name::{
    parse_region, BucketName, CdnPath, ContainerName, ObjectKey, Prefix, MOST_PATHS,
};
use crate::raw::RawSettings;
use crate::variables::Variables;

/// Containers of one run: an invalidation tells of no more of them, and each is held in memory until it is sent.
pub(crate) const MOST_CONTAINERS: usize = MOST_PATHS;

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
        check: &mut Check,
        variables: &Variables,
        raw: &RawSettings,
        environment: Option<Environment>,
        config: Result<ConfigJs, Invalid>,
        profile_region: Option<&str>,
    ) -> Option<Self> {
        let mut config = Config::new(config);
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
        if containers.len() > MOST_CONTAINERS {
            check.push(
                "CONTAINER_NAME",
                format!(
                    "names {} containers, expected at most {MOST_CONTAINERS}, as CloudFront works on {MOST_PATHS} paths at a time; \
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
        if let Some(problem) = config.into_problem() {
            check.ok::<()>(Err(problem));
        }
        Some(Self {
            containers,
            bucket: bucket?,
            prefix: prefix?,
            cdn_prefix: cdn_prefix?,
            region: region?,
        })
    }
}

/// `config.js`, and whether any value of it was wanted: one that cannot be read matters only then.
struct Config {
    values: ConfigJs,
    problem: Option<Invalid>,
    wanted: bool,
}

impl Config {
    fn new(config: Result<ConfigJs, Invalid>) -> Self {
        let (values, problem) = match config {
            Ok(values) => (values, None),
            Err(problem) => (ConfigJs::default(), Some(problem)),
        };
        Self {
            values,
            problem,
            wanted: false,
        }
    }

    /// A value; absent, what is missing is pushed, unless the file's own problem says enough.
    fn get(
        &mut self,
        check: &mut Check,
        value: impl FnOnce(&ConfigJs) -> Option<&String>,
        setting: &'static str,
        missing: impl FnOnce() -> String,
    ) -> Option<String> {
        self.wanted = true;
        let value = value(&self.values)
            .filter(|value| !value.is_empty())
            .cloned();
        if value.is_none() && self.problem.is_none() {
            check.push(setting, missing());
        }
        value
    }

    fn into_problem(self) -> Option<Invalid> {
        self.problem.filter(|_| self.wanted)
    }
}

fn containers(check: &mut Check, variables: &Variables, config: &mut Config) -> Vec<ContainerName> {
    let Some(mut names) = check.ok(variables.list("CONTAINER_NAME")) else {
        return Vec::new();
    };
    let mut setting = "CONTAINER_NAME";
    if names.is_empty() {
        let missing = || {
            "is not set, and no `config.js` with a `containerName` is here; set it, or run this in the root of the Mojito repository"
                .to_owned()
        };
        names.extend(config.get(
            check,
            |config| config.container_name.as_ref(),
            setting,
            missing,
        ));
        setting = "config.js containerName";
    }
    names
        .iter()
        .filter_map(|name| check.parse(setting, name, ContainerName::parse))
        .collect()
}

/// `BUCKET`, or `BUCKET/PREFIX` as Mojito writes it.
fn bucket(
    check: &mut Check,
    raw: &RawSettings,
    environment: Option<Environment>,
    config: &mut Config,
) -> Option<(Option<BucketName>, Option<Prefix>)> {
    let (setting, value) = if let Some(bucket) = &raw.s3_bucket {
        ("S3_BUCKET", bucket.clone())
    } else {
        let (key, of_environment): (_, fn(&ConfigJs) -> Option<&String>) = match environment? {
            Environment::Production => ("config.js s3BucketPRD", |config| {
                config.s3_bucket_prd.as_ref()
            }),
            Environment::Development => ("config.js s3BucketDev", |config| {
                config.s3_bucket_dev.as_ref()
            }),
        };
        let missing = || {
            format!(
                "is not set, and no `{key}` is here either; set it to `BUCKET` or `BUCKET/PREFIX`"
            )
        };
        (
            key,
            config.get(check, of_environment, "S3_BUCKET", missing)?,
        )
    };
    if value.contains("//") || value.starts_with("arn:") {
        let expected = "`BUCKET` or `BUCKET/PREFIX`, without `s3://` and no ARN";
        check.ok::<()>(Err(Invalid::value(setting, &value, expected)));
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
    check: &mut Check,
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
    if let (None, Some(region)) = (&config.values.s3_region, profile_region) {
        return check.parse("region of the AWS profile", region, parse_region);
    }
    let missing = || {
        "is not set, and neither `s3Region` of `config.js` nor the AWS profile names a region; set it to the bucket's region, such \
         as `ap-southeast-2`"
            .to_owned()
    };
    let region = config.get(
        check,
        |config| config.s3_region.as_ref(),
        "AWS_DEFAULT_REGION",
        missing,
    )?;
    check.parse("config.js s3Region", &region, parse_region)
}
