//! `COMMAND`, which names the command in a pipe.

use crate::commands::rollback::{live, publish, versioned};
use crate::support::harness::Case;

#[test]
fn a_pipe_chooses_its_command_by_a_variable() {
    let case = Case::production().storing_results();
    let publish = case.env("COMMAND", "publish");
    publish
        .run()
        .exits(0)
        .contains("is published to production");
    let check = publish.env("COMMAND", "check");
    check
        .run()
        .exits(0)
        .contains("checking what the credentials can do in production");
    let requests = check.requests().len();
    let settings = check.env("COMMAND", "Settings");
    settings
        .run()
        .exits(0)
        .contains("COMMAND: Settings (variable)\n");
    let account = settings.world.account.clone();
    let policy = settings
        .env("COMMAND", "policy")
        .env("AWS_ACCOUNT_ID", &account);
    policy
        .run()
        .exits(0)
        .contains("\"Sid\": \"WriteContainer\"");
    assert_eq!(policy.requests().len(), requests);
}

#[test]
fn a_pipe_rolls_back_and_shows_the_status_by_a_variable() {
    let case = versioned().without_arguments();
    publish(&case, 56);
    publish(&case, 57);
    let status = case.env("COMMAND", "status");
    status.run().exits(0).contains("status of production (");
    let preview = status.env("COMMAND", "rollback").env("DRY_RUN", "true");
    preview.run().exits(0).contains("would put back build 56 ");
    assert_eq!(live(&preview), "57");
    let rollback = preview.env("DRY_RUN", "false").env("ROLLBACK_TO", "56");
    rollback
        .run()
        .exits(0)
        .contains("is put back in production");
    assert_eq!(live(&rollback), "56");
    // A flag of every run.
    let by_flag = rollback.env("ROLLBACK_TO", "57").arg("--dry-run");
    by_flag.run().exits(0).contains("would put back build 57 ");
    assert_eq!(live(&by_flag), "56");
}

#[test]
fn an_argument_and_the_variable_must_agree() {
    let agreed = Case::production().env("COMMAND", "check").arg("check");
    agreed.run().exits(0);
    for (argument, problem) in [
        ("policy", "✖ `COMMAND` is `check`, but the argument is `policy`; unset `COMMAND`, or make them agree"),
        ("publish", "✖ `COMMAND` is `check`, but the argument is `publish`"),
        ("--dry-run", "✖ `COMMAND` is `check`, but `--dry-run` is given, which only `publish` and `rollback` have"),
    ] {
        let case = Case::production().env("COMMAND", "check").arg(argument);
        case.run().exits(2).contains(problem);
        assert!(case.requests().is_empty());
    }
    // An argument of every command.
    let case = Case::production()
        .env("COMMAND", "check")
        .arg("--production");
    case.run()
        .exits(0)
        .contains("checking what the credentials can do in production");
}

#[test]
fn a_mistyped_command_is_refused_with_the_one_that_is_meant_and_with_all_else() {
    let case = Case::production().env("COMMAND", "chek").env("WAIT", "yes");
    case.run()
        .exits(2)
        .contains("2 settings are missing or invalid:")
        .contains("`COMMAND` is `chek`, expected a command; did you mean `check`?")
        .contains("nothing was uploaded; visitors still get the old container");
    assert!(case.requests().is_empty());
}
