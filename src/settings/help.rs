//! What `--help` says of each setting, in a line. Unit tests hold it to what is read.

/// The settings of `pipe.yml`, in its order.
pub(crate) const SETTINGS: [(&str, &str); 30] = [
    (
        "AWS_ACCESS_KEY_ID",
        "a user's access key; else AWS's default chain",
    ),
    ("AWS_SECRET_ACCESS_KEY", "its secret"),
    (
        "AWS_SESSION_TOKEN",
        "the session token of temporary credentials",
    ),
    (
        "AWS_OIDC_ROLE_ARN",
        "the role to assume, in a step with `oidc: true`",
    ),
    (
        "AWS_DEFAULT_REGION",
        "the bucket's region; else by `config.js`",
    ),
    ("AWS_REGION", "the same, if AWS_DEFAULT_REGION is not set"),
    (
        "AWS_ACCOUNT_ID",
        "the account in printed policies; else the caller's",
    ),
    (
        "ENVIRONMENT",
        "production or development; else by the pipeline",
    ),
    (
        "CONTAINER_NAME",
        "the container, or a list; else by `config.js`",
    ),
    ("COMMAND", "the command, for a pipe; else publish"),
    ("S3_BUCKET", "BUCKET or BUCKET/PREFIX; else by `config.js`"),
    (
        "S3_PREFIX",
        "the folder in the bucket; else `js` or `jsdev`",
    ),
    (
        "LOCAL_PATH",
        "the folder of the built files; else dist/assets/js",
    ),
    ("PRETTY", "`true`: NAME.pretty.js too, as in development"),
    (
        "DISTRIBUTION_ID",
        "the distributions to invalidate; else by `config.js`",
    ),
    (
        "INVALIDATE_VARIANTS",
        "`true`: invalidate NAME.js?v=2 and the like too",
    ),
    ("CDN_PREFIX", "the folder in the URL; else the S3 prefix"),
    (
        "CACHE_CONTROL",
        "the Cache-Control header; else five minutes",
    ),
    ("ACL", "a canned ACL, for buckets that still use ACLs"),
    ("WAIT", "`true`: wait until the invalidation has completed"),
    ("METADATA", "`false`: do not show visitors the build"),
    ("KMS_KEY_ARN", "the KMS key of the bucket, for policies"),
    (
        "PUBLIC_URL",
        "the CDN's URL: shows changes, verifies afterwards",
    ),
    (
        "CODE_INSIGHTS",
        "`false`: no report on the commit in Bitbucket",
    ),
    (
        "ONLY_NEWER",
        "`true`: do not replace the container of a newer build",
    ),
    ("ROLLBACK_TO", "a build number or S3 version ID to put back"),
    (
        "MAX_SIZE",
        "refuse a larger NAME.js, compressed; such as `30 kB`",
    ),
    ("VALIDATE", "`false`: publish any script"),
    (
        "DRY_RUN",
        "`true`: say what would happen, and write nothing",
    ),
    (
        "DEBUG",
        "`true`: log the settings in effect, and every response",
    ),
];

/// The settings that every AWS tool has.
pub(crate) const SETTINGS_OF_AWS: [(&str, &str); 11] = [
    ("AWS_PROFILE", "the profile in AWS's configuration"),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "a runner's token for its role",
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "where a runner gets its role's keys",
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "the same, where a runner is on ECS",
    ),
    ("AWS_ENDPOINT_URL", "a custom endpoint of all services"),
    ("AWS_ENDPOINT_URL_S3", "a custom endpoint of S3"),
    (
        "AWS_ENDPOINT_URL_CLOUDFRONT",
        "a custom endpoint of CloudFront",
    ),
    ("AWS_ENDPOINT_URL_STS", "a custom endpoint of STS"),
    ("HTTPS_PROXY", "the proxy"),
    ("NO_PROXY", "the hosts that bypass it"),
    ("AWS_CA_BUNDLE", "a file of certificates to trust"),
];
