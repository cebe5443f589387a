//! What a row of the table publishes, and where: the settings under which a fault is met.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};

use super::table::Stage;
use crate::support::harness::Case;
use crate::support::sample;

/// What is set besides what every row sets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Setting {
    pub(crate) production: bool,
    pub(crate) extra: Extra,
    /// Whether build 57 is put back in place of build 58, not published in place of build 56.
    pub(crate) rollback: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Extra {
    #[default]
    Plain,
    Oidc,
    Wait,
    OidcAndWait,
    OnlyNewer,
    PublicUrl,
    TwoDistributions,
    TwoContainers,
    /// The credentials may read what is stored.
    MayRead,
}

impl Setting {
    /// All, for the attack.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [
            Extra::Plain,
            Extra::Oidc,
            Extra::Wait,
            Extra::OnlyNewer,
            Extra::PublicUrl,
            Extra::TwoDistributions,
            Extra::TwoContainers,
            Extra::MayRead,
        ]
        .into_iter()
        .flat_map(|extra| {
            [false, true].map(|production| Self {
                production,
                extra,
                rollback: false,
            })
        })
    }

    pub(crate) fn folder(self) -> &'static str {
        if self.production {
            "js"
        } else {
            "jsdev"
        }
    }

    /// Whether the run can look what became of an upload.
    pub(crate) fn may_read(self, stage: Stage) -> bool {
        let by_keys = self.extra == Extra::MayRead && stage != Stage::AssumeRole;
        by_keys || self.extra == Extra::OnlyNewer || self.rollback
    }

    pub(crate) fn containers(self) -> &'static [&'static str] {
        match self.extra {
            Extra::TwoContainers => &["mojito", "shop"],
            _ => &["mojito"],
        }
    }

    /// All that is published.
    pub(crate) fn keys(self) -> Vec<String> {
        let folder = self.folder();
        let files = self.containers().iter();
        let files = files.flat_map(|name| [format!("{name}.pretty.js"), format!("{name}.js")]);
        files.map(|file| format!("{folder}/{file}")).collect()
    }

    /// A case in which build 57 replaces build 56, and whatever it has to reach for this stage is in its way.
    pub(crate) fn case(self, stage: Stage) -> Case {
        let reads = self.may_read(stage);
        let of_objects: &[&str] = if self.rollback {
            &[
                "s3:PutObject",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:ListBucketVersions",
            ]
        } else if reads {
            &["s3:PutObject", "s3:GetObject"]
        } else {
            &["s3:PutObject"]
        };
        let case = Case::without_rights();
        case.set_policy(json!([
            {"Effect": "Allow", "Action": of_objects, "Resource": "*"},
            {"Effect": "Allow", "Action": "cloudfront:*", "Resource": "*"},
        ]));
        let case = if self.production {
            case.in_bitbucket("BITBUCKET_TAG", "v1")
        } else {
            case.in_bitbucket("BITBUCKET_BRANCH", "develop")
        };
        let mut case = case.env("PRETTY", "true").storing_results();
        if stage == Stage::AssumeRole || matches!(self.extra, Extra::Oidc | Extra::OidcAndWait) {
            case = case.with_broad_role().0;
        }
        // Visitors are waited for a shorter time when the invalidation has completed.
        if matches!(stage, Stage::Poll | Stage::PublicUrl)
            || matches!(self.extra, Extra::Wait | Extra::OidcAndWait)
        {
            case = case.env("WAIT", "true");
        }
        match self.extra {
            Extra::OnlyNewer => case = case.env("ONLY_NEWER", "true"),
            Extra::TwoDistributions => {
                let other: String = case.call("add_distribution", json!({}));
                let own = case.world.distribution.clone();
                case = case.list("DISTRIBUTION_ID", &[&own, &other]);
            }
            Extra::TwoContainers => {
                sample::build(case.repository(), "shop");
                case = case.list("CONTAINER_NAME", self.containers());
            }
            _ => {}
        }
        if self.rollback {
            versioned_before(&case, &self.keys());
            return case.env("BITBUCKET_BUILD_NUMBER", "61").arg("rollback");
        }
        for key in self.keys() {
            case.stored_before(&key, json!({"x-amz-meta-build-number": "56"}));
        }
        case
    }
}

/// Stores builds 56 and 57, which are sound, and then build 58, which is not.
pub(crate) fn versioned_before(case: &Case, keys: &[String]) {
    case.call::<()>("set_versioning", json!({"status": "Enabled"}));
    let sound = sample::minified("mojito");
    let builds = [
        ("56", format!("{sound}//56")),
        ("57", sound),
        ("58", "Mojito=f(".to_owned()),
    ];
    for (build, script) in &builds {
        for key in keys {
            let metadata = json!({
                "content-type": "application/javascript; charset=utf-8",
                "cache-control": "max-age=300",
                "x-amz-meta-build-number": build,
            });
            let body = STANDARD.encode(script);
            let object = json!({"key": key, "body": body, "metadata": metadata});
            case.call::<()>("put_object", object);
        }
    }
}

/// What a run said in its result that is not so in the local AWS.
pub(crate) fn lies(case: &Case, result: &Value) -> Vec<String> {
    let mut lies = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            lies.push(what);
        }
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for container in list(&result["containers"]) {
        for object in list(&container["objects"]) {
            let (key, upload) = (object["key"].as_str().unwrap(), &object["upload"]);
            let is_published = case.is_published(key);
            let expected = match upload.as_str().unwrap() {
                "uploaded" => true,
                "unknown" => is_published,
                _ => false,
            };
            must(is_published == expected, format!("{key} is not {upload}"));
            if object["variant"] == "minified" {
                let state = container["state"].as_str().unwrap();
                let expected = match state {
                    "published" => true,
                    "unknown" => is_published,
                    _ => false,
                };
                must(is_published == expected, format!("{key} is not {state}"));
            }
        }
    }
    let made = case.invalidations();
    for invalidation in list(&result["invalidations"]) {
        let distribution = invalidation["distribution_id"].as_str().unwrap();
        let status = invalidation["status"].as_str().unwrap();
        let made = made.iter().filter(|it| it.distribution == distribution);
        let made: Vec<&str> = made.map(|it| it.id.as_str()).collect();
        let said = list(&invalidation["ids"]);
        let is_true = match status {
            "in_progress" | "completed" => said == made,
            // It may have been made, and its id did not arrive.
            "unknown" => said.is_empty(),
            _ => said.is_empty() && made.is_empty(),
        };
        must(
            is_true,
            format!("{distribution} is not {status}: {made:?}, {said:?}"),
        );
    }
    lies
}
