//! What is published where: containers, bucket, folders and region, from variables or from Mojito's `config.js`.

use super::environment::Environment;
use super::names::{BucketName, CdnPath, ContainerName, ObjectKey, Prefix, Variant, MAX_PATHS};
use super::problems::{InvalidSetting, Problems};
use super::raw::Raw;
use super::region;
use super::source::Source;
use crate::mojito::config_js::{self, ConfigJs, Unknown};

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
    pub(crate) fn new(
        problems: &mut Problems,
        warnings: &mut Vec<String>,
        raw: &Raw,
        environment: Option<Environment>,
        config: ConfigJs,
        profile_region: Option<&str>,
    ) -> Option<Self> {
        let mut sources = Sources {
            problems,
            warnings,
            raw,
            environment,
            config,
            unknown: Vec::new(),
        };
        let (containers, of_containers) = sources.containers();
        let (of_bucket, bucket, bucket_prefix) = sources.bucket();
        let problems = &mut *sources.problems;
        let (prefix, of_prefix) = match (&raw.settings.s3_prefix, bucket_prefix) {
            (Some(prefix), _) => {
                let prefix = problems.parse("S3_PREFIX", prefix, Prefix::parse);
                (prefix, Source::Variable("S3_PREFIX"))
            }
            (None, Some(prefix)) => (Some(prefix), of_bucket.clone()),
            (None, None) => (
                environment.map(Environment::default_prefix),
                Source::Default,
            ),
        };
        let cdn_prefix = match &raw.settings.cdn_prefix {
            Some(prefix) => problems.parse("CDN_PREFIX", prefix, Prefix::parse),
            None => prefix.clone(),
        };
        check_limits(problems, &containers, prefix.as_ref(), cdn_prefix.as_ref());
        let (of_region, region) = sources.region(profile_region);
        sources.report();
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

/// Names in a sentence: `` `A`, `B` and `C` ``.
fn and(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match &names[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// Where the values come from. A problem with `config.js` matters only if one of its values is needed.
struct Sources<'a> {
    problems: &'a mut Problems,
    warnings: &'a mut Vec<String>,
    raw: &'a Raw,
    environment: Option<Environment>,
    config: ConfigJs,
    /// The variables to set where `config.js` cannot be read.
    unknown: Vec<&'static str>,
}

impl Sources<'_> {
    /// A value of `config.js` that is needed, as `variable` is not set. If it is invalid or missing, that is added to the
    /// problems.
    fn get(&mut self, key: &'static str, variable: &'static str, missing: &str) -> Option<String> {
        match self.config.get(key) {
            Ok(Some(value)) => {
                if let Some(place) = self.config.repeated(key) {
                    let problem = format!(
                        "is there more than once; the last one counts, as in Node\n{place}"
                    );
                    let warning =
                        InvalidSetting::lines(&Source::ConfigJs(key).to_string(), &problem);
                    self.warnings.push(warning.to_string());
                }
                return Some(value.to_owned());
            }
            Ok(None) => self
                .problems
                .0
                .push(InvalidSetting::lines(variable, missing)),
            Err(Unknown::File) => self.unknown.push(variable),
            Err(Unknown::Value(problem)) => {
                let problem = format!("{problem}\nwrite it as a plain string, or set `{variable}`");
                let invalid = InvalidSetting::lines(&Source::ConfigJs(key).to_string(), &problem);
                self.problems.0.push(invalid);
            }
        }
        None
    }

    fn containers(&mut self) -> (Vec<ContainerName>, Source) {
        let mut source = Source::Variable("CONTAINER_NAME");
        let names = self.raw.variables.list("CONTAINER_NAME");
        let Some(mut names) = self.problems.ok(names) else {
            return (Vec::new(), source);
        };
        if names.is_empty() {
            let missing = "is not set, and there is no `config.js` with a `containerName`\n\
                 set it, or run this in the root of the Mojito repository";
            names.extend(self.get("containerName", "CONTAINER_NAME", missing));
            source = Source::ConfigJs("containerName");
        }
        let setting = source.to_string();
        let parse = |name: &String| self.problems.parse(&setting, name, ContainerName::parse);
        (names.iter().filter_map(parse).collect(), source)
    }

    /// `BUCKET`, or `BUCKET/PREFIX` as in Mojito's `config.js`.
    fn bucket(&mut self) -> (Source, Option<BucketName>, Option<Prefix>) {
        let source = match (&self.raw.settings.s3_bucket, self.environment) {
            (None, Some(Environment::Production)) => Source::ConfigJs("s3BucketPRD"),
            (None, Some(Environment::Development)) => Source::ConfigJs("s3BucketDev"),
            _ => Source::Variable("S3_BUCKET"),
        };
        let value = match source {
            Source::ConfigJs(key) => {
                let missing = format!(
                    "is not set, and there is no `config.js` with an `{key}`\nset it to `BUCKET` or `BUCKET/PREFIX`"
                );
                self.get(key, "S3_BUCKET", &missing)
            }
            _ => self.raw.settings.s3_bucket.clone(),
        };
        let Some(value) = value else {
            return (source, None, None);
        };
        let setting = source.to_string();
        if value.contains("//") || value.starts_with("arn:") {
            let expected = "`BUCKET` or `BUCKET/PREFIX`, without `s3://`, and not an ARN";
            let invalid = InvalidSetting::value(&setting, &value, expected);
            self.problems.0.push(invalid);
            return (source, None, None);
        }
        let (name, folder) = value.split_once('/').unwrap_or((&value, ""));
        let bucket = self.problems.parse(&setting, name, BucketName::parse);
        let folder = Some(folder).filter(|folder| !folder.is_empty());
        let prefix = self.problems.optional(&setting, folder, Prefix::parse);
        (source, bucket, prefix)
    }

    fn region(&mut self, profile_region: Option<&str>) -> (Source, Option<String>) {
        let variables = &self.raw.settings;
        // Only where `config.js` certainly names none.
        let has_none = |config: &ConfigJs| config.get("s3Region").is_ok_and(|it| it.is_none());
        let (source, region) = if let Some(region) = &variables.aws_default_region {
            (Source::Variable("AWS_DEFAULT_REGION"), Some(region.clone()))
        } else if let Some(region) = &variables.aws_region {
            (Source::Variable("AWS_REGION"), Some(region.clone()))
        } else if let Some(region) = profile_region.filter(|_| has_none(&self.config)) {
            (Source::Profile, Some(region.to_owned()))
        } else {
            let missing =
                "is not set, and neither `s3Region` of `config.js` nor the AWS profile names a region\n\
                 set it to the bucket's region, such as `ap-southeast-2`";
            let region = self.get("s3Region", "AWS_DEFAULT_REGION", missing);
            (Source::ConfigJs("s3Region"), region)
        };
        let parse = |region: String| {
            self.problems
                .parse(&source.to_string(), &region, region::parse)
        };
        let region = region.and_then(parse);
        (source, region)
    }

    /// Adds the problem with the whole of `config.js`, once for all values that were needed.
    fn report(self) {
        if let (Some(problem), false) = (self.config.problem(), self.unknown.is_empty()) {
            let variables = and(&self.unknown);
            let problem = format!("{problem}\nfix it, or set {variables}");
            let invalid = InvalidSetting::lines(config_js::FILE, &problem);
            self.problems.0.push(invalid);
        }
    }
}
