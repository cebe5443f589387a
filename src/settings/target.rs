//! What is published where: containers, bucket, folders and region, from variables or from Mojito's `config.js`.

use super::environment::Environment;
use super::names::{
    parse_region, BucketName, CdnPath, ContainerName, ObjectKey, Prefix, Variant, MAX_PATHS,
};
use super::problems::{InvalidSetting, Problems};
use super::raw::{Raw, RawSettings};
use crate::mojito::config_js::{self, ConfigJs, Unknown};

/// Containers of one run, so that one invalidation covers all of them; each is held in memory until it is uploaded.
pub(crate) const MAX_CONTAINERS: usize = MAX_PATHS;

/// A value of `config.js`, and how it is named in messages.
struct Wanted {
    key: &'static str,
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
    /// The folder at the CDN.
    pub(crate) cdn_prefix: Prefix,
    /// The bucket's region.
    pub(crate) region: String,
}

impl Target {
    /// `None` if anything is invalid, which `problems` then has.
    ///
    /// `profile_region` is the region of AWS's profile, the last resort for the bucket's region.
    pub(crate) fn new(
        problems: &mut Problems,
        raw: &Raw,
        environment: Option<Environment>,
        config: ConfigJs,
        profile_region: Option<&str>,
    ) -> Option<Self> {
        let settings = &raw.settings;
        let mut config = Config {
            file: config,
            unknown: Vec::new(),
        };
        let containers = containers(problems, raw, &mut config);
        let (bucket, bucket_prefix) =
            bucket(problems, settings, environment, &mut config).unwrap_or_default();
        let prefix = match (&settings.s3_prefix, bucket_prefix) {
            (Some(prefix), _) => problems.parse("S3_PREFIX", prefix, Prefix::parse),
            (None, Some(prefix)) => Some(prefix),
            (None, None) => environment.map(Environment::default_prefix),
        };
        let cdn_prefix = match &settings.cdn_prefix {
            Some(prefix) => problems.parse("CDN_PREFIX", prefix, Prefix::parse),
            None => prefix.clone(),
        };
        check_limits(problems, &containers, prefix.as_ref(), cdn_prefix.as_ref());
        let region = region(problems, settings, profile_region, &mut config);
        config.report(problems);
        Some(Self {
            containers,
            bucket: bucket?,
            prefix: prefix?,
            cdn_prefix: cdn_prefix?,
            region: region?,
        })
    }
}

/// The limits of S3 and CloudFront that depend on several settings.
fn check_limits(
    problems: &mut Problems,
    containers: &[ContainerName],
    prefix: Option<&Prefix>,
    cdn_prefix: Option<&Prefix>,
) {
    if containers.len() > MAX_CONTAINERS {
        problems.push(
            "CONTAINER_NAME",
            format!(
                "names {} containers, expected at most {MAX_CONTAINERS}, as CloudFront invalidates at most {MAX_PATHS} paths at a \
                 time; publish them in several runs",
                containers.len()
            ),
        );
    }
    let mut longest = containers
        .iter()
        .map(|name| Variant::Pretty.file_name(name));
    let fits = |prefix, file: &String| CdnPath::new(prefix, file).fits();
    if cdn_prefix.is_some_and(|prefix| !longest.clone().all(|file| fits(prefix, &file))) {
        problems.push(
            "CDN_PREFIX",
            "makes a path longer than the 4,000 characters that CloudFront allows; shorten it",
        );
    }
    if prefix.is_some_and(|prefix| !longest.all(|file| ObjectKey::new(prefix, &file).fits())) {
        problems.push(
            "CONTAINER_NAME",
            "makes a key longer than the 1,024 bytes that S3 allows; shorten it or `S3_PREFIX`",
        );
    }
}

/// `config.js`, and the variables to set where it cannot be read: a problem with it matters only if one of its values is
/// needed.
struct Config {
    file: ConfigJs,
    unknown: Vec<&'static str>,
}

impl Config {
    /// A value that is needed. If it is invalid or missing, that is added to the problems.
    fn get(&mut self, problems: &mut Problems, wanted: &Wanted, missing: &str) -> Option<String> {
        let Wanted {
            key,
            setting,
            variable,
        } = *wanted;
        match self.file.get(key) {
            Ok(Some(value)) => return Some(value.to_owned()),
            Ok(None) => problems.push(variable, missing),
            Err(Unknown::File) => self.unknown.push(variable),
            Err(Unknown::Value(problem)) => {
                let problem = format!("{problem}\nwrite it as a plain string, or set `{variable}`");
                problems.ok::<()>(Err(InvalidSetting::lines(setting, &problem)));
            }
        }
        None
    }

    /// Adds the problem with the whole file, once for all values that were needed.
    fn report(&self, problems: &mut Problems) {
        let Some(problem) = self.file.problem() else {
            return;
        };
        if !self.unknown.is_empty() {
            let variables = self.unknown.join("` and `");
            let problem = format!("{problem}\nfix it, or set `{variables}`");
            problems.ok::<()>(Err(InvalidSetting::lines(config_js::FILE, &problem)));
        }
    }
}

fn containers(problems: &mut Problems, raw: &Raw, config: &mut Config) -> Vec<ContainerName> {
    let Some(mut names) = problems.ok(raw.container_names.clone()) else {
        return Vec::new();
    };
    let mut setting = "CONTAINER_NAME";
    if names.is_empty() {
        let missing =
            "is not set, and there is no `config.js` with a `containerName`; set it, or run this in the root of the Mojito repository";
        names.extend(config.get(problems, &CONTAINER_NAME, missing));
        setting = CONTAINER_NAME.setting;
    }
    names
        .iter()
        .filter_map(|name| problems.parse(setting, name, ContainerName::parse))
        .collect()
}

/// `BUCKET`, or `BUCKET/PREFIX` as in Mojito's `config.js`.
fn bucket(
    problems: &mut Problems,
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
        let missing = format!(
            "is not set, and there is no `config.js` with an `{}`; set it to `BUCKET` or `BUCKET/PREFIX`",
            wanted.key
        );
        (wanted.setting, config.get(problems, &wanted, &missing)?)
    };
    if value.contains("//") || value.starts_with("arn:") {
        let expected = "`BUCKET` or `BUCKET/PREFIX`, without `s3://`, and not an ARN";
        problems.ok::<()>(Err(InvalidSetting::value(setting, &value, expected)));
        return None;
    }
    let (name, folder) = value.split_once('/').unwrap_or((&value, ""));
    let bucket = problems.parse(setting, name, BucketName::parse);
    let prefix = (!folder.is_empty())
        .then(|| problems.parse(setting, folder, Prefix::parse))
        .flatten();
    Some((bucket, prefix))
}

fn region(
    problems: &mut Problems,
    raw: &RawSettings,
    profile_region: Option<&str>,
    config: &mut Config,
) -> Option<String> {
    if let Some(region) = &raw.aws_default_region {
        return problems.parse("AWS_DEFAULT_REGION", region, parse_region);
    }
    if let Some(region) = &raw.aws_region {
        return problems.parse("AWS_REGION", region, parse_region);
    }
    if let (Ok(None), Some(region)) = (config.file.get(S3_REGION.key), profile_region) {
        return problems.parse("region of the AWS profile", region, parse_region);
    }
    let missing =
        "is not set, and neither `s3Region` of `config.js` nor the AWS profile names a region; set it to the bucket's region, such \
         as `ap-southeast-2`";
    let region = config.get(problems, &S3_REGION, missing)?;
    problems.parse(S3_REGION.setting, &region, parse_region)
}
