//! The CDN in front of the bucket: the distributions to invalidate, and CloudFront's limits for that.

use super::names::{CdnPath, DistributionId, Variant, MAX_WILDCARDS};
use super::problems::Problems;
use super::raw::Raw;
use super::region::{partition_of, GOVCLOUD};
use super::target::Target;

/// How many paths with a `*` a run may invalidate: 10 requests, each of which waits until CloudFront has completed the one
/// before, which takes up to a minute.
const MAX_WILDCARDS_OF_RUN: usize = 10 * MAX_WILDCARDS;

pub(super) fn distributions(problems: &mut Problems, raw: &Raw) -> Vec<DistributionId> {
    let ids = problems.ok(raw.variables.list("DISTRIBUTION_ID"));
    ids.unwrap_or_default()
        .iter()
        .filter_map(|id| problems.parse("DISTRIBUTION_ID", id, DistributionId::parse))
        .collect()
}

pub(super) fn check_partition(
    problems: &mut Problems,
    target: Option<&Target>,
    distributions: &[DistributionId],
) {
    let region = target.map(|target| target.region.as_str());
    let Some(region) = region.filter(|region| partition_of(region) == GOVCLOUD) else {
        return;
    };
    if !distributions.is_empty() {
        problems.push(
            "DISTRIBUTION_ID",
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
