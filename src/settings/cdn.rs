//! The CDN in front of the bucket: its distributions and URL, from variables or from Mojito's `config.js`, and CloudFront's limits
//! for invalidations.

use http::Uri;

use super::names::{CdnPath, DistributionId, Variant, MAX_WILDCARDS};
use super::problems::Problems;
use super::region::{partition_of, GOVCLOUD};
use super::source::Source;
use super::sources::Sources;
use super::target::Target;

/// How many paths with a `*` a run may invalidate: 10 requests, each of which waits until CloudFront has completed the one
/// before, which takes up to a minute.
const MAX_WILDCARDS_OF_RUN: usize = 10 * MAX_WILDCARDS;

/// The distributions, and where they come from.
pub(super) fn distributions(
    problems: &mut Problems,
    sources: &mut Sources,
) -> (Source, Vec<DistributionId>) {
    const VARIABLE: &str = "DISTRIBUTION_ID";
    let variable = Source::Variable(VARIABLE);
    let Some(ids) = problems.ok(sources.raw.variables.list(VARIABLE)) else {
        return (variable, Vec::new());
    };
    let key = sources.key("distributionIdPRD", "distributionIdDev");
    let (source, ids) = match key {
        Some(source @ Source::ConfigJs(key)) if ids.is_empty() => {
            // Otherwise, the site would not be invalidated although the file says where.
            sources.warn_of_unknown(key, VARIABLE);
            (source, sources.optional(problems, key, VARIABLE, true))
        }
        _ => (variable, ids),
    };
    let setting = source.to_string();
    let ids = ids.iter();
    let ids = ids.filter_map(|id| problems.parse(&setting, id, DistributionId::parse));
    let ids: Vec<DistributionId> = ids.collect();
    (source, ids)
}

/// The CDN's URL, and where it comes from.
pub(super) fn public_url(problems: &mut Problems, sources: &mut Sources) -> (Source, Option<Uri>) {
    const VARIABLE: &str = "PUBLIC_URL";
    let url = sources.raw.settings.public_url.clone();
    let key = sources.key("publicUrlPRD", "publicUrlDev");
    let (source, url) = match key {
        Some(source @ Source::ConfigJs(key)) if url.is_none() => {
            let url = sources.optional(problems, key, VARIABLE, false);
            (source, url.into_iter().next())
        }
        _ => (Source::Variable(VARIABLE), url),
    };
    let url = problems.url(&source.to_string(), url.as_deref(), is_base);
    (source, url)
}

fn is_base(url: &Uri) -> Result<(), &'static str> {
    let is_valid = matches!(url.path(), "" | "/") && url.query().is_none();
    let expected = "only the CDN's base URL, such as `https://d111111abcdef8.cloudfront.net`; the path is added from `CDN_PREFIX`";
    is_valid.then_some(()).ok_or(expected)
}

pub(super) fn check_partition(
    problems: &mut Problems,
    target: Option<&Target>,
    distributions: &[DistributionId],
    source: &Source,
) {
    let region = target.map(|target| target.region.as_str());
    let Some(region) = region.filter(|region| partition_of(region) == GOVCLOUD) else {
        return;
    };
    if !distributions.is_empty() {
        problems.push(
            &source.to_string(),
            format!(
                "is set, but the bucket's region `{region}` is in AWS GovCloud, which has no CloudFront: leave it empty, and \
                 invalidate with credentials of the account that has the distribution"
            ),
        );
    }
}

/// CloudFront's limits for paths that end with `*`.
pub(super) fn check_variants(problems: &mut Problems, target: Option<&Target>, pretty: bool) {
    let Some(target) = target else { return };
    let paths = target.containers.len() * if pretty { 2 } else { 1 };
    if paths > MAX_WILDCARDS_OF_RUN {
        problems.push(
            "INVALIDATE_VARIANTS",
            format!(
                "is `true`, but this run has {paths} paths to invalidate, expected at most {MAX_WILDCARDS_OF_RUN}, as CloudFront \
                 invalidates at most {MAX_WILDCARDS} paths with a `*` at a time; publish fewer containers in one run"
            ),
        );
    }
    let is_long = |name| {
        let file = Variant::Pretty.file_name(name);
        let path = CdnPath::new(&target.cdn_prefix, &file);
        path.fits() && !path.with_variants().fits()
    };
    if target.containers.iter().any(is_long) {
        problems.push(
            "CDN_PREFIX",
            "makes a path longer than the 4,000 characters that CloudFront allows, with the `*` of `INVALIDATE_VARIANTS`; \
             shorten it",
        );
    }
}
