//! A step's token that is refused: the log shows what the token says and what would let it in, and following that lets it in.

use serde_json::{json, Value};

use crate::support::harness::{oidc_token, Case, Ended};

const REPOSITORY: &str = "{22222222-1a2b-1a2b-1a2b-1a2b3c4d5e6f}";
const PRODUCTION: &str = "{33333333-1a2b-1a2b-1a2b-1a2b3c4d5e6f}";
const OTHER: &str = "{44444444-1a2b-1a2b-1a2b-1a2b3c4d5e6f}";
const STEP: &str = "{55555555-1a2b-1a2b-1a2b-1a2b3c4d5e6f}";
const AUDIENCE: &str = "ari:cloud:bitbucket::workspace/11111111-1a2b-1a2b-1a2b-1a2b3c4d5e6f";

/// A step whose role trusts the deployment environment `PRODUCTION` of `REPOSITORY`, by the workspace's own identity provider.
struct Step {
    case: Case,
    role: String,
    claims: Value,
}

fn issuer(workspace: &str) -> String {
    format!("https://api.bitbucket.org/2.0/workspaces/{workspace}/pipelines-config/identity/oidc")
}

impl Step {
    fn new() -> Self {
        let (case, role) = Case::production().with_broad_role();
        let issuer = issuer(&case.world.bucket);
        let () = case.call(
            "add_identity_provider",
            json!({"issuer": issuer, "audiences": [AUDIENCE]}),
        );
        let provider = issuer.trim_start_matches("https://");
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{provider}")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {format!("{provider}:aud"): AUDIENCE},
                "StringLike": {format!("{provider}:sub"): format!("{REPOSITORY}:{PRODUCTION}:*")},
            },
        }]});
        let step = Self {
            claims: json!({
                "iss": issuer, "aud": AUDIENCE, "sub": format!("{REPOSITORY}:{PRODUCTION}:{STEP}"), "exp": 4_000_000_000_u64,
            }),
            case,
            role,
        };
        step.trusts(&trust);
        step
    }

    fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims[claim] = value.into();
        self
    }

    fn trusts(&self, policy: &Value) {
        let () = self
            .case
            .call("set_trust", json!({"role": self.role, "policy": policy}));
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.case.command();
        command
            .args(arguments)
            .env("AWS_OIDC_ROLE_ARN", &self.role)
            .env("BITBUCKET_STEP_OIDC_TOKEN", oidc_token(&self.claims));
        self.case.ended(command.output().unwrap())
    }

    /// The run is refused, with what the token says.
    #[track_caller]
    fn is_refused(&self) -> Ended {
        let mut ended = self.run(&[]).exits(3);
        for claim in ["iss", "aud", "sub"] {
            ended = ended.contains(self.claims[claim].as_str().unwrap());
        }
        assert!(self.case.keys().is_empty());
        // `check` meets the same refusal, with the same words.
        let checked = self.run(&["check"]).exits(3);
        checked.contains("the step's token says");
        ended.contains("nothing was uploaded; visitors still get the old container")
    }

    /// The trust policy that the log shows lets the step in.
    #[track_caller]
    fn is_let_in_by_what(&self, ended: &Ended) {
        let mut lines = ended.output.lines();
        let start = lines.find(|line| line.trim() == "{").expect(&ended.output);
        let end = start.replace('{', "}");
        let inner: String = lines.take_while(|line| *line != end).collect();
        let json = format!("{{{inner}}}");
        let policy: Value = serde_json::from_str(&json).expect(&ended.output);
        self.trusts(&policy);
        self.run(&[]).exits(0);
    }
}

/// The value of an option in a command that the log shows.
fn option(ended: &Ended, name: &str) -> String {
    let words = ended.output.split_whitespace();
    let mut after = words.skip_while(|word| *word != name).skip(1);
    after.next().expect(&ended.output).to_owned()
}

#[test]
fn a_step_that_is_trusted_publishes() {
    Step::new().run(&[]).exits(0);
    let several = json!(["https://other.example.com", AUDIENCE]);
    Step::new().with("aud", several).run(&[]).exits(0);
}

#[test]
fn another_repository_environment_or_none_is_let_in_by_the_policy_that_is_shown() {
    let other_repository = Step::new().with("sub", format!("{OTHER}:{PRODUCTION}:{STEP}"));
    let other_environment = Step::new().with("sub", format!("{REPOSITORY}:{OTHER}:{STEP}"));
    for step in [other_repository, other_environment] {
        let ended = step
            .is_refused()
            .contains("or it does not trust this step")
            .contains("this trust policy lets in every step of this repository and deployment environment:");
        step.is_let_in_by_what(&ended);
    }
    let none = Step::new().with("sub", format!("{REPOSITORY}:{STEP}"));
    let ended = none
        .is_refused()
        .contains("the step has no `deployment:`")
        .contains("every step of this repository, of any branch and pull request:");
    none.is_let_in_by_what(&ended);
}

#[test]
fn another_workspace_is_let_in_by_the_policy_that_is_shown() {
    let step = Step::new();
    let other = issuer(&format!("{}-other", step.case.world.bucket));
    let () = step.case.call(
        "add_identity_provider",
        json!({"issuer": other, "audiences": [AUDIENCE]}),
    );
    let step = step.with("iss", other);
    let ended = step.is_refused();
    step.is_let_in_by_what(&ended);
}

#[test]
fn an_identity_provider_or_an_audience_that_is_missing_is_named_with_the_command_that_adds_it() {
    let step = Step::new();
    let other = issuer(&format!("{}-none", step.case.world.bucket));
    let step = step.with("iss", other.as_str());
    let ended = step
        .is_refused()
        .contains("account 123456789012 needs an identity provider for this workspace");
    assert_eq!(option(&ended, "--url"), other);
    let () = step.case.call(
        "add_identity_provider",
        json!({"issuer": other, "audiences": [option(&ended, "--client-id-list")]}),
    );
    step.is_let_in_by_what(&ended);

    let step = Step::new().with("aud", "https://own.example.com");
    let ended = step
        .is_refused()
        .contains("does not accept this audience: add it");
    assert_eq!(option(&ended, "--client-id"), "https://own.example.com");
    assert!(
        option(&ended, "--open-id-connect-provider-arn").ends_with(&format!(
            "oidc-provider/api.bitbucket.org/2.0/workspaces/{}/pipelines-config/identity/oidc",
            step.case.world.bucket
        ))
    );
}

#[test]
fn a_role_that_does_not_exist_is_named() {
    let mut step = Step::new();
    step.role = "arn:aws:iam::123456789012:role/mojito-typo".to_owned();
    let ended = step.run(&[]).exits(3);
    ended
        .contains("there is no role `mojito-typo` in account 123456789012, or it does not trust")
        .contains(step.claims["sub"].as_str().unwrap());
}

#[test]
fn a_token_that_has_expired_says_when() {
    let step = Step::new().with("exp", 1_795_000_000);
    step.run(&[])
        .exits(3)
        .contains("the step's OIDC token has expired: re-run the step")
        .contains("it expired at 2026-11-18T");
}

#[test]
fn that_bitbuckets_keys_could_not_be_fetched_passes() {
    let step = Step::new();
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>Couldn't retrieve verification \
                key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for \
                requirements</Message></Error></ErrorResponse>";
    let fault =
        |times| json!({"method": "POST", "path": "/", "status": 400, "body": body, "times": times});
    step.case.fault(fault(2));
    step.run(&[]).exits(0);
    step.case.fault(fault(99));
    step.run(&[])
        .exits(3)
        .contains("AWS could not fetch Bitbucket's keys: re-run in a few minutes")
        .does_not_contain("the step's token says");
}

#[test]
fn in_a_pipeline_the_trust_policy_is_that_of_the_steps_token() {
    let step = Step::new().with("sub", format!("{OTHER}:{PRODUCTION}:{STEP}"));
    let printed = step.run(&["policy", "--trust"]).exits(0);
    step.run(&[]).exits(3);
    step.is_let_in_by_what(&printed);
}
