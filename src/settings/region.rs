//! The name of an AWS region. One that does not exist would only be noticed by a host that cannot be found.

use strsim::osa_distance;

/// Regions as of 2026, for suggestions. New ones are accepted by their shape.
const KNOWN: [&str; 38] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The directions that regions are named by.
const DIRECTIONS: [&str; 9] = [
    "central",
    "east",
    "north",
    "northeast",
    "northwest",
    "south",
    "southeast",
    "southwest",
    "west",
];

/// On failure, what is expected of a region.
pub(super) fn parse(region: &str) -> Result<String, String> {
    if has_shape(region) {
        return Ok(region.to_owned());
    }
    let lower = region.to_ascii_lowercase();
    let distance = |known: &&&str| osa_distance(&lower, known);
    let nearest = KNOWN.iter().min_by_key(distance);
    let nearest = nearest.filter(|known| distance(known) <= 3);
    Err(nearest.map_or_else(
        || "a region such as `ap-southeast-2`".to_owned(),
        |nearest| format!("a region; did you mean `{nearest}`?"),
    ))
}

/// Whether it is `AREA-DIRECTION-NUMBER`, perhaps with more words between, and no direction is mistyped.
fn has_shape(region: &str) -> bool {
    let is_word =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number =
        |part: &str| matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = region.split('-').collect();
    let [area, words @ .., number] = &parts[..] else {
        return false;
    };
    let is_mistyped = |word: &&str| {
        !DIRECTIONS.contains(word) && DIRECTIONS.iter().any(|it| osa_distance(it, word) <= 2)
    };
    is_word(area)
        && (2..=4).contains(&area.len())
        && !words.is_empty()
        && words.iter().all(|word| is_word(word) && !is_mistyped(word))
        && is_number(number)
}

/// The partition of AWS without CloudFront.
pub(crate) const GOVCLOUD: &str = "aws-us-gov";

/// The partition of AWS that a region is in, as in ARNs.
pub(crate) fn partition_of(region: &str) -> &'static str {
    let partitions = [
        ("cn-", "aws-cn"),
        ("us-gov-", GOVCLOUD),
        ("eusc-", "aws-eusc"),
    ];
    let partition = partitions
        .iter()
        .find(|(start, _)| region.starts_with(start));
    partition.map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn every_region_is_accepted_and_new_ones_too() {
        let new = [
            "ap-southwest-12",
            "us-isob-east-1",
            "us-gov-east-1",
            "eu-isoe-west-1",
            "nz-north-1",
        ];
        for region in KNOWN.into_iter().chain(new) {
            assert_eq!(parse(region).as_deref(), Ok(region));
        }
    }

    #[test]
    fn a_mistyped_region_is_refused_with_the_one_that_is_meant() {
        for [region, meant] in rows(
            "ap-southeast2   | ap-southeast-2
             apsoutheast-2   | ap-southeast-2
             ap-sotheast-2   | ap-southeast-2
             eu-west1        | eu-west-1
             eu-wset-1       | eu-west-1
             EU-West-1       | eu-west-1
             eu_west_1       | eu-west-1
             us-east-1a      | us-east-1
             us-east         | us-east-1
             us-esat-1       | us-east-1
             eu-cental-1     | eu-central-1",
        ) {
            let expected = format!("a region; did you mean `{meant}`?");
            assert_eq!(parse(region), Err(expected), "{region}");
        }
        for region in ["Sydney", "eu", "-", "", "Asia Pacific (Sydney)"] {
            assert_eq!(
                parse(region).unwrap_err(),
                "a region such as `ap-southeast-2`",
                "{region}"
            );
        }
    }

    #[test]
    fn a_region_is_in_its_partition() {
        for [region, partition] in rows(
            "ap-southeast-2 | aws
             cn-northwest-1 | aws-cn
             us-gov-east-1  | aws-us-gov
             eusc-de-east-1 | aws-eusc",
        ) {
            assert_eq!(partition_of(region), partition);
        }
    }
}
