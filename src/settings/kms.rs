//! `KMS_KEY_ARN`: the customer managed key that the bucket encrypts with, for the policies that must allow its use.

use super::names::{parse_account_id, text_newtypes, valid_text};
use super::problems::Problems;
use super::region::partition_of;
use super::target::Target;

/// The longest ID of a key is that of a multi-Region key, with 36 characters.
const MAX_ID: usize = 64;

text_newtypes! {
    /// The ARN of a KMS key.
    KmsKeyArn;
}

impl KmsKeyArn {
    /// On failure, what is expected of an ARN.
    pub(crate) fn parse(arn: &str) -> Result<Self, &'static str> {
        let is_id = |id: &str| {
            let is_text = id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            (1..=MAX_ID).contains(&id.len()) && is_text
        };
        let parts: Vec<&str> = arn.split(':').collect();
        let is_valid = matches!(
            parts[..],
            ["arn", partition, "kms", region, account, resource]
                if partition.starts_with("aws")
                    && !region.is_empty()
                    && parse_account_id(account).is_ok()
                    && resource.strip_prefix("key/").is_some_and(is_id)
        );
        let expected = if parts.last().is_some_and(|it| it.starts_with("alias/")) {
            "the ARN of the key itself, as IAM policies do not take an alias; `aws kms describe-key --key-id alias/NAME` shows it"
        } else if is_id(arn) {
            "the ARN of the key, as IAM policies do not take its ID alone; `aws kms describe-key --key-id ID` shows it"
        } else {
            "the ARN of a KMS key, such as `arn:aws:kms:ap-southeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab`"
        };
        valid_text(is_valid, arn, expected).map(Self)
    }
}

/// S3 encrypts with keys of the bucket's region alone.
pub(super) fn check_region(
    problems: &mut Problems,
    key: Option<&KmsKeyArn>,
    target: Option<&Target>,
) {
    let (Some(key), Some(target)) = (key, target) else {
        return;
    };
    let region = &target.region;
    let start = format!("arn:{}:kms:{region}:", partition_of(region));
    if !key.as_str().starts_with(&start) {
        problems.push(
            "KMS_KEY_ARN",
            format!(
                "is `{key}`, but the bucket is in `{region}`, and S3 encrypts with keys of the same region alone (`{start}...`)"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn a_key_is_named_by_its_arn_and_by_nothing_else() {
        for arn in [
            "arn:aws:kms:ap-southeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        ] {
            assert_eq!(KmsKeyArn::parse(arn).unwrap().as_str(), arn);
        }
        for [arn, expected] in rows(
            "arn:aws:kms:us-east-1:123456789012:alias/mojito | do not take an alias
             alias/mojito                                    | do not take an alias
             1234abcd-12ab-34cd-56ef-1234567890ab            | do not take its ID alone
             mrk-1234abcd12ab34cd56ef1234567890ab            | do not take its ID alone
             arn:aws:kms:us-east-1:123456789012:key/*        | the ARN of a KMS key, such as
             arn:aws:kms:us-east-1:1234:key/1234abcd         | the ARN of a KMS key, such as
             arn:aws:kms::123456789012:key/1234abcd          | the ARN of a KMS key, such as
             arn:aws:iam::123456789012:role/mojito           | the ARN of a KMS key, such as",
        ) {
            let problem = KmsKeyArn::parse(arn).unwrap_err();
            assert!(problem.contains(expected), "{arn}: {problem}");
        }
    }
}
