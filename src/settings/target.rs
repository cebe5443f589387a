//! What is published where: containers, bucket, folders and region, from variables or from Mojito's `config.js`.

use super::environment::Environment;
use super::names::{BucketName, CdnPath, ContainerName, ObjectKey, Prefix, Variant, MAX_PATHS};
use super::problems::{InvalidSetting, Problems};
use super::region;
use super::source::Source;
use super::sources::Sources;
use crate::mojito::config_js::ConfigJs;

/// Containers of one run, so that one invalidation covers all of them; each is held in memory until it is uploaded.
pub(crate) const MAX_CONTAINERS: usize = MAX_PATHS;

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
    pub(crate) sources: TargetSources,
}

/// Where the values of a target come from.
#[derive(Debug)]
pub(crate) struct TargetSources {
    pub(crate) containers: Source,
    pub(crate) bucket: Source,
    pub(crate) prefix: Source,
    pub(crate) region: Source,
}

impl Target {
    /// `None` if anything is invalid, which `problems` then has.
    ///
    /// `profile_region` is the region of AWS's profile, the last resort for the bucket's region.
    pub(super) fn new(
        problems: &mut Problems,
        sources: &mut Sources,
        profile_region: Option<&str>,
    ) -> Option<Self> {
        let raw = sources.raw;
        let (containers, of_containers) = containers(problems, sources);
        let (of_bucket, bucket, bucket_prefix) = bucket(problems, sources);
        let (prefix, of_prefix) = match (&raw.settings.s3_prefix, bucket_prefix) {
            (Some(prefix), _) => {
                let prefix = problems.parse("S3_PREFIX", prefix, Prefix::parse);
                (prefix, Source::Variable("S3_PREFIX"))
            }
            (None, Some(prefix)) => (Some(prefix), of_bucket.clone()),
            (None, None) => (
                sources.environment.map(Environment::default_prefix),
                Source::Default,
            ),
        };
        let cdn_prefix = match &raw.settings.cdn_prefix {
            Some(prefix) => problems.parse("CDN_PREFIX", prefix, Prefix::parse),
            None => prefix.clone(),
        };
        check_limits(problems, &containers, prefix.as_ref(), cdn_prefix.as_ref());
        let (of_region, region) = region(problems, sources, profile_region);
        Some(Self {
            containers,
            bucket: bucket?,
            prefix: prefix?,
            cdn_prefix: cdn_prefix?,
            region: region?,
            sources: TargetSources {
                containers: of_containers,
                bucket: of_bucket,
                prefix: of_prefix,
                region: of_region,
            },
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
    let longest = || {
        containers
            .iter()
            .map(|name| Variant::Pretty.file_name(name))
    };
    let is_long_path = |prefix| longest().any(|file| !CdnPath::new(prefix, &file).fits());
    if cdn_prefix.is_some_and(is_long_path) {
        problems.push(
            "CDN_PREFIX",
            "makes a path longer than the 4,000 characters that CloudFront allows; shorten it",
        );
    }
    let is_long_key = |prefix| longest().any(|file| !ObjectKey::new(prefix, &file).fits());
    if prefix.is_some_and(is_long_key) {
        problems.push(
            "CONTAINER_NAME",
            "makes a key longer than the 1,024 bytes that S3 allows; shorten it or `S3_PREFIX`",
        );
    }
}

fn containers(problems: &mut Problems, sources: &mut Sources) -> (Vec<ContainerName>, Source) {
    let mut source = Source::Variable("CONTAINER_NAME");
    let names = sources.raw.variables.list("CONTAINER_NAME");
    let Some(mut names) = problems.ok(names) else {
        return (Vec::new(), source);
    };
    if names.is_empty() {
        let missing = "is not set, and there is no `config.js` with a `containerName`\n\
             set it, or run this in the root of the Mojito repository";
        names.extend(sources.get(problems, "containerName", "CONTAINER_NAME", missing));
        source = Source::ConfigJs("containerName");
    }
    let setting = source.to_string();
    let parse = |name: &String| problems.parse(&setting, name, ContainerName::parse);
    (names.iter().filter_map(parse).collect(), source)
}

/// `BUCKET`, or `BUCKET/PREFIX` as in Mojito's `config.js`.
fn bucket(
    problems: &mut Problems,
    sources: &mut Sources,
) -> (Source, Option<BucketName>, Option<Prefix>) {
    let source = match sources.raw.settings.s3_bucket {
        None => sources.key("s3BucketPRD", "s3BucketDev"),
        Some(_) => None,
    };
    let source = source.unwrap_or(Source::Variable("S3_BUCKET"));
    let value = match source {
        Source::ConfigJs(key) => {
            let missing = format!(
                "is not set, and there is no `config.js` with an `{key}`\nset it to `BUCKET` or `BUCKET/PREFIX`"
            );
            sources.get(problems, key, "S3_BUCKET", &missing)
        }
        _ => sources.raw.settings.s3_bucket.clone(),
    };
    let Some(value) = value else {
        return (source, None, None);
    };
    let setting = source.to_string();
    if value.contains("//") || value.starts_with("arn:") {
        let expected = "`BUCKET` or `BUCKET/PREFIX`, without `s3://`, and not an ARN";
        let invalid = InvalidSetting::value(&setting, &value, expected);
        problems.0.push(invalid);
        return (source, None, None);
    }
    let (name, folder) = value.split_once('/').unwrap_or((&value, ""));
    let bucket = problems.parse(&setting, name, BucketName::parse);
    let folder = Some(folder).filter(|folder| !folder.is_empty());
    let prefix = problems.optional(&setting, folder, Prefix::parse);
    (source, bucket, prefix)
}

fn region(
    problems: &mut Problems,
    sources: &mut Sources,
    profile_region: Option<&str>,
) -> (Source, Option<String>) {
    let variables = &sources.raw.settings;
    // Only where `config.js` certainly names none.
    let has_none = |config: &ConfigJs| config.get("s3Region").is_ok_and(|it| it.is_none());
    let (source, region) = if let Some(region) = &variables.aws_default_region {
        (Source::Variable("AWS_DEFAULT_REGION"), Some(region.clone()))
    } else if let Some(region) = &variables.aws_region {
        (Source::Variable("AWS_REGION"), Some(region.clone()))
    } else if let Some(region) = profile_region.filter(|_| has_none(&sources.config)) {
        (Source::Profile, Some(region.to_owned()))
    } else {
        let missing =
            "is not set, and neither `s3Region` of `config.js` nor the AWS profile names a region\n\
             set it to the bucket's region, such as `ap-southeast-2`";
        let region = sources.get(problems, "s3Region", "AWS_DEFAULT_REGION", missing);
        (Source::ConfigJs("s3Region"), region)
    };
    let parse = |region: String| problems.parse(&source.to_string(), &region, region::parse);
    let region = region.and_then(parse);
    (source, region)
}
