//! What no pipeline should hold, and one does: it is refused, or handled within the limits that the README names, and
//! takes neither the memory of the step nor its processor.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{json, Value};

use crate::support::harness::{Case, Ended};
use crate::support::local_aws::World;
use crate::support::measured::Measured;
use crate::support::settings::each_set_to;

/// What a run may take that refuses something: the binary itself and its tables take some twenty in a debug build, and a
/// parser as many.
const MAX_MEMORY: u64 = 60_000_000;
/// What it may take of a processor, in a debug build; the largest inputs take a second.
const MAX_PROCESSOR_TIME: Duration = Duration::from_secs(5);

/// To start a parser takes some milliseconds in a debug build, on an idle machine.
const START_OF_PARSER: Duration = Duration::from_millis(40);

/// Refused before anything is sent.
#[track_caller]
fn refused(case: &Case, expected: &str) -> String {
    let ended = Measured::run(case)
        .within(MAX_MEMORY, MAX_PROCESSOR_TIME)
        .exits(2)
        .contains(expected);
    assert!(case.requests().is_empty());
    // Nobody reads more.
    assert!(ended.output.len() < 20_000, "{}", ended.output.len());
    ended.output
}

/// A file of this size, without any of it being written.
fn large_file(path: &Path, size: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().set_len(size).unwrap();
}

#[test]
fn a_container_of_100_mb_is_refused() {
    let case = Case::production();
    large_file(&case.dist("mojito.js"), 100_000_000);
    refused(
        &case,
        "is larger than 10,000,000 bytes, too large for any page",
    );
}

#[test]
fn what_is_no_file_is_not_read() {
    let case = Case::production();
    let path = case.dist("mojito.js");
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    refused(&case, "is not a file; check `CONTAINER_NAME`");
    refused(
        &Case::production().env("AWS_CA_BUNDLE", "/dev/zero"),
        "`AWS_CA_BUNDLE` is `/dev/zero`, which is not a file",
    );
    let case = Case::production().unset("CONTAINER_NAME");
    symlink("/dev/zero", case.repository().join("config.js")).unwrap();
    refused(&case, "`config.js` is not a file");
}

#[test]
fn pipes_and_devices_are_refused_before_aws_or_its_tls_read_them() {
    for (variable, path) in [
        ("AWS_CONFIG_FILE", ".aws/config"),
        ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "pipe"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "pipe"),
        ("AWS_CA_BUNDLE", "pipe"),
        ("SSL_CERT_FILE", "pipe"),
    ] {
        let case = Case::production().file(".aws/other", "");
        let pipe = case.repository().join(path);
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let home = case.repository().to_str().unwrap().to_owned();
        let case = case.env("HOME", &home).env("AWS_PROFILE", "acme");
        let expected = format!("`{variable}` is `/dev/zero`, which is not a file");
        // In a home, without a variable.
        if path == "pipe" {
            let case = case.env(variable, pipe.to_str().unwrap());
            refused(
                &case,
                &format!("`{variable}` is `{home}/pipe`, which is not a file"),
            );
            refused(&case.env(variable, "/dev/zero"), &expected);
        } else {
            refused(
                &case,
                &format!("`{variable}` is `~/{path}`, which is not a file"),
            );
            fs::remove_file(&pipe).unwrap();
            refused(&case.env(variable, "/dev/zero"), &expected);
        }
    }
    let case = Case::production();
    large_file(&case.repository().join("certificates/large"), 100_000_000);
    let folder = case.repository().join("certificates");
    let case = case.env("SSL_CERT_DIR", folder.to_str().unwrap());
    refused(
        &case,
        "/certificates`, which contains more than 10,000,000 bytes",
    );
    // What turns a file off is not refused, nor certificates that are none.
    let case = Case::production()
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("SSL_CERT_FILE", "/etc/hostname");
    case.run().exits(0);
}

#[test]
fn the_log_of_any_run_is_short_enough_to_read() {
    /// What it printed.
    #[track_caller]
    fn short(case: &Case, code: i32) -> Ended {
        let ended = case.run().exits(code);
        let lines = ended.output.lines().count();
        let bytes = ended.output.len();
        assert!(
            lines <= 200 && bytes <= 50_000,
            "{lines} lines, {bytes} bytes"
        );
        ended
    }
    // Each experiment is listed, and is a change or has a warning.
    let experiments = |properties: &str| -> String {
        let added = |number| {
            format!("Mojito.addTest({{id:'w{number}',recipes:{{0:{{}},1:{{}}}},{properties}}});")
        };
        format!("Mojito={{}};{}", (0..2_000).map(added).collect::<String>())
    };
    let live = experiments("state:'live',trigger(){}");
    let staged = experiments("state:'staging',trigger(){}");
    let without_trigger = experiments("state:'live'");
    let case = Case::production().storing_results();
    let edge = case.world.edge.clone();
    let case = case
        .env("PUBLIC_URL", &edge)
        .file("dist/assets/js/mojito.js", live);
    short(&case, 0).contains("(1960 more)");
    let case = case.file("dist/assets/js/mojito.js", staged);
    let stops = "- stops  w0 ";
    short(&case, 0).contains(stops).contains("(1961 more)");
    let result = case.repository().join("results/mojito-publish.json");
    let result = || serde_json::from_slice::<Value>(&fs::read(&result).unwrap()).unwrap();
    let length = |list: &Value| list.as_array().unwrap().len();
    let of_staged = result();
    assert_eq!(length(&of_staged["containers"][0]["changes"]), 2_001);
    assert_eq!(length(&of_staged["containers"][0]["experiments"]), 2_000);
    let case = case.file("dist/assets/js/mojito.js", without_trigger);
    short(&case, 0).contains("(1980 more warnings are not listed)");
    assert_eq!(length(&result()["warnings"]), 2_000);

    // Each of many containers has warnings and lines in the plan, or is missing.
    short(&containers(300), 3)
        .contains("more files)")
        .contains("more paths)")
        .contains("more warnings are not listed)");
    let case = containers(300);
    fs::remove_dir_all(case.dist("")).unwrap();
    short(&case, 2)
        .contains("300 files cannot be published:")
        .contains("and 270 more");
}

#[test]
fn the_changes_of_many_containers_are_counted() {
    let case = containers(30).unset("DRY_RUN");
    let World {
        access_key_id,
        secret_access_key,
        ..
    } = &case.world;
    let (id, secret) = (access_key_id.clone(), secret_access_key.clone());
    let case = case
        .env("AWS_ACCESS_KEY_ID", &id)
        .env("AWS_SECRET_ACCESS_KEY", &secret);
    case.set_policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    case.run().exits(0);
    for number in 0..30 {
        let path = case.dist(&format!("c{number}.js"));
        fs::write(
            path,
            "Mojito={};Mojito.addTest({id:'other',recipes:{0:{},1:{}}})",
        )
        .unwrap();
    }
    let case = case.env("DRY_RUN", "true");
    let dry = case.run().exits(0);
    let case = case.unset("DRY_RUN");
    for ended in [dry, case.run().exits(0)] {
        let listed = ended.output.matches("changes to the live container c");
        assert_eq!(listed.count(), 10);
        ended.contains("(the changes of 20 more containers are not listed)");
    }
}

#[test]
fn a_large_bundle_of_certificates_is_refused() {
    let case = Case::production();
    let path = case.repository().join("bundle.pem");
    large_file(&path, 100_000_000);
    let case = case.env("AWS_CA_BUNDLE", path.to_str().unwrap());
    refused(&case, "which is larger than 10,000,000 bytes");
}

#[test]
fn a_configuration_of_a_hundred_thousand_lines_is_refused_and_one_below_the_limit_is_read_at_once()
{
    let source = |line: &str, lines: usize| {
        format!(
            "module.exports = {{\n{} containerName: 'mojito',\n}};\n",
            line.repeat(lines)
        )
    };
    let with = |source: String| {
        Case::production()
            .unset("CONTAINER_NAME")
            .file("config.js", source)
            .without_credentials()
            .env("DRY_RUN", "true")
    };
    refused(
        &with(source("\n", 100_000)),
        "`config.js` is larger than 100,000 bytes",
    );
    for (line, lines) in [
        ("\n", 99_900),
        ("// a\n", 19_900),
        ("/**/\n", 19_900),
        ("a:1,\n", 19_900),
        ("a:[{}],\n", 12_400),
        ("'\\u0061':'\\\n',\n", 6_600),
    ] {
        Measured::run(&with(source(line, lines)))
            .within(MAX_MEMORY, MAX_PROCESSOR_TIME)
            .exits(3)
            .contains("would publish container mojito");
    }
}

#[test]
fn a_large_container_is_read() {
    let experiment = "Mojito.addTest({id:'w1',recipes:{0:{},1:{}}});";
    let large = format!(
        "Mojito={{}};{}",
        experiment.repeat(1_000_000 / experiment.len())
    );
    let case = Case::production().file("dist/assets/js/mojito.js", large);
    Measured::run(&case)
        .within(200_000_000, MAX_PROCESSOR_TIME)
        .exits(0)
        .contains("uploaded s3://");
}

/// What a run may take whose script takes all that a parser may: a Bitbucket pipe has 1 GB.
const MAX_MEMORY_OF_TREE: u64 = 1_000_000_000;
/// A parser is stopped after 30 s.
const MAX_PARSING_TIME: Duration = Duration::from_secs(35);

/// Scripts on which a parser overflows its stack, or takes far more memory than their size, and what repeats in them.
const PATHOLOGICAL: [(&str, usize); 18] = [
    ("a=", 160_000),
    ("a?", 160_000),
    ("a?a=", 100_000),
    ("a=b=>", 100_000),
    ("(a=", 7_000),
    ("(a=", 300_000),
    ("(", 900_000),
    ("[", 900_000),
    ("{", 900_000),
    ("!", 1_000_000),
    ("a=>", 330_000),
    ("`${", 300_000),
    ("function(){", 90_000),
    ("class a{b=", 90_000),
    ("a[", 400_000),
    ("a?b:", 200_000),
    ("if(a);else ", 90_000),
    ("a+", 450_000),
];

/// Whole scripts, which a browser may even accept.
fn pathological() -> Vec<String> {
    let nested = |open: &str, close: &str, levels: usize| {
        format!("a={}1{}", open.repeat(levels), close.repeat(levels))
    };
    let repeated = PATHOLOGICAL.map(|(part, count)| part.repeat(count) + "a");
    let mut scripts: Vec<String> = repeated.into();
    scripts.extend([
        nested("(", ")", 200_000),
        nested("[", "]", 200_000),
        nested("`${", "}`", 200_000),
        nested("class{b=", "}", 100_000),
        nested("()=>{", "}", 150_000),
        format!("a=/{}{}/", "(".repeat(400_000), ")".repeat(400_000)),
        format!("a=/{}{}/v", "[".repeat(400_000), "]".repeat(400_000)),
        format!("{}a", "a.b||".repeat(190_000)),
        format!("{};", "if(a);else ".repeat(80_000)),
        "a;".repeat(490_000),
        ";".repeat(990_000),
    ]);
    scripts
}

#[test]
fn no_container_of_ones_own_ends_the_program_or_takes_the_memory_of_the_step() {
    let case = Case::production();
    let path = case.dist("mojito.js");
    let mut unchecked = 0;
    for script in pathological() {
        fs::write(&path, format!("Mojito={{}};{script}")).unwrap();
        let ended = Measured::run(&case).within(MAX_MEMORY_OF_TREE, MAX_PARSING_TIME);
        // A browser accepts some of them, and the parser can too.
        match ended.code {
            Some(0) => continue,
            Some(2) => {}
            code => panic!("{script:.40}: {code:?}\n{}", ended.output),
        }
        let is_unchecked = ended.output.contains("cannot be checked: ");
        unchecked += usize::from(is_unchecked);
        let reasons = ["parsing it takes ", "MB of memory is not enough"];
        let has_reason = reasons.iter().any(|it| ended.output.contains(it));
        assert_eq!(is_unchecked, has_reason, "{}", ended.output);
    }
    assert!(unchecked > 15, "{unchecked}");
}

#[test]
fn a_sound_container_is_published_over_whatever_is_served() {
    let sound = fs::read(Case::production().dist("mojito.js")).unwrap();
    for script in pathological() {
        let case = Case::production().env("VALIDATE", "false");
        case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
        fs::write(case.dist("mojito.js"), format!("Mojito={{}};{script}")).unwrap();
        case.run().exits(0);
        fs::write(case.dist("mojito.js"), &sound).unwrap();
        let case = case.unset("VALIDATE");
        Measured::run(&case)
            .within(MAX_MEMORY_OF_TREE, MAX_PARSING_TIME)
            .exits(0)
            .contains("changes to the live container")
            .contains("created invalidation");
        assert_eq!(case.objects()[0].content().as_bytes(), sound);
    }
}

/// The parser takes minutes for it: it compares each name with all others.
fn slow_to_parse() -> String {
    let names = (0..45_000).map(|number| format!("(?<a{number}>x)"));
    format!("/{}/", names.collect::<Vec<_>>().join("|"))
}

/// What parsing of served containers may take of a processor: 5 s each, and the rest of the run.
const MAX_SERVED_PARSING_TIME: Duration = Duration::from_secs(9);

#[test]
fn neither_a_publish_nor_a_dry_run_waits_long_for_the_parser_of_what_is_served() {
    let case = Case::production();
    let sound = fs::read(case.dist("mojito.js")).unwrap();
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    fs::write(case.dist("mojito.js"), slow_to_parse()).unwrap();
    let case = case.env("VALIDATE", "false");
    case.run().exits(0);
    fs::write(case.dist("mojito.js"), &sound).unwrap();
    let case = case.unset("VALIDATE").env("DRY_RUN", "true");
    let reason = "the live file cannot be checked: parsing it takes longer than 5 s";
    let within = |case: &Case| {
        Measured::run(case)
            .within(MAX_MEMORY_OF_TREE, MAX_SERVED_PARSING_TIME)
            .exits(0)
            .contains(reason)
    };
    within(&case).contains("dry run: nothing was written");
    within(&case.unset("DRY_RUN")).contains("created invalidation");
}

#[test]
fn a_script_of_which_too_much_is_to_say_is_not_checked() {
    let case = Case::production();
    let id = "a".repeat(200);
    // Each of them says at which one Mojito throws before it.
    let script = format!(
        "Mojito={{}};Mojito.addTest({{id:'{id}'}});{}",
        "Mojito.addTest({});".repeat(100_000)
    );
    fs::write(case.dist("mojito.js"), script).unwrap();
    Measured::run(&case)
        .within(MAX_MEMORY_OF_TREE, MAX_PARSING_TIME)
        .exits(2)
        .contains("cannot be checked: it has too many experiments");
}

#[test]
fn a_script_over_the_size_limit_is_not_parsed() {
    let case = Case::production();
    fs::write(case.dist("mojito.js"), "a".repeat(2_000_001)).unwrap();
    refused(
        &case,
        "cannot be checked: it is larger than 2,000,000 bytes",
    );
}

/// A case of so many containers of the same script, by hand and without credentials, in a dry run, which ends with 3 for that alone.
fn containers(count: usize) -> Case {
    let case = Case::production()
        .without_credentials()
        .unset("CONTAINER_NAME")
        .env("DRY_RUN", "true")
        .env("CONTAINER_NAME_COUNT", &count.to_string());
    (0..count).fold(case, |case, number| {
        let name = format!("c{number}");
        fs::write(
            case.dist(&format!("{name}.js")),
            format!("Mojito={{}};Mojito.addTest({{id:'{name}',recipes:{{0:{{}},1:{{}}}}}})"),
        )
        .unwrap();
        case.env(&format!("CONTAINER_NAME_{number}"), &name)
    })
}

#[test]
fn ten_thousand_containers_are_refused_and_three_thousand_are_not() {
    refused(
        &containers(10_000),
        "`CONTAINER_NAME` names 10000 containers, expected at most 3000, as CloudFront invalidates at most 3000 paths at a time",
    );
    Measured::run(&containers(3_000))
        .within(2 * MAX_MEMORY, 3_000 * START_OF_PARSER)
        .exits(3)
        .contains("(the experiments of 2990 more containers are not listed)")
        .contains("nothing was written");
}

#[test]
fn a_setting_of_any_length_is_refused_in_a_sentence() {
    // An environment variable has at most 131,072 bytes with its name.
    let long = "a".repeat(130_000);
    refused(
        &Case::production().env("CONTAINER_NAME", &long),
        "makes a key longer than the 1,024 bytes that S3 allows",
    );
    refused(
        &Case::production().env("S3_PREFIX", &long),
        "makes a key longer than the 1,024 bytes that S3 allows",
    );
    refused(
        &Case::production().env("CDN_PREFIX", &long),
        "`CDN_PREFIX` makes a path longer than the 4,000 characters that CloudFront allows",
    );
    for (case, expected) in each_set_to(&format!("{long} /*")) {
        let is_path = expected.contains("LOCAL_PATH");
        refused(
            &case,
            if is_path {
                "File name too long"
            } else {
                &expected
            },
        );
    }
    let case = Case::production()
        .unset("CONTAINER_NAME")
        .env("CONTAINER_NAME_0", "mojito");
    refused(
        &case.env("CONTAINER_NAME_COUNT", &"9".repeat(130_000)),
        "`CONTAINER_NAME` has a length (`CONTAINER_NAME_COUNT`) that is not a number",
    );
    let (case, _) = Case::production().with_broad_role();
    refused(
        &case.env("BITBUCKET_STEP_OIDC_TOKEN", &long),
        "`BITBUCKET_STEP_OIDC_TOKEN` is 130,000 bytes, and STS accepts at most 20000 characters",
    );
}

#[test]
fn a_huge_number_is_a_large_one() {
    let case = Case::production()
        .unset("CONTAINER_NAME")
        .env("CONTAINER_NAME_0", "mojito")
        .env("CONTAINER_NAME_COUNT", "18446744073709551615")
        .env(
            "MAX_SIZE",
            &format!("{}.{} MB", "9".repeat(900), "9".repeat(900)),
        );
    Measured::run(&case)
        .within(MAX_MEMORY, MAX_PROCESSOR_TIME)
        .exits(0);
    assert_eq!(case.keys(), ["js/mojito.js"]);
    for size in ["0.0000001 kB", "-1", "1e9 kB", "NaN", "inf"] {
        refused(&Case::production().env("MAX_SIZE", size), "`MAX_SIZE` is");
    }
}

#[test]
fn a_hundred_thousand_variables_are_no_hindrance() {
    for value in ["1", ""] {
        let case = Case::production();
        // Names that are short, as Linux gives a process no more than 2 MB for all of them.
        let case = (0..100_000).fold(case, |case, number| case.env(&format!("V{number}"), value));
        Measured::run(&case)
            .within(2 * MAX_MEMORY, MAX_PROCESSOR_TIME)
            .exits(0);
        assert_eq!(case.keys(), ["js/mojito.js"]);
    }
}

#[test]
fn a_large_file_of_shared_variables_is_a_warning() {
    let case = Case::production();
    let folder = case.repository().join("shared");
    let path = folder.join("_shared_variables.json");
    large_file(&path, 100_000_000);
    let case = case.env(
        "BITBUCKET_PIPE_SHARED_STORAGE_DIR",
        folder.to_str().unwrap(),
    );
    Measured::run(&case)
        .within(MAX_MEMORY, MAX_PROCESSOR_TIME)
        .exits(0)
        .contains("WARNING: the result is not in `")
        .contains("_shared_variables.json`: it is larger than 10,000,000 bytes");
    assert_eq!(case.keys(), ["js/mojito.js"]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 100_000_000);
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    Measured::run(&case)
        .within(MAX_MEMORY, MAX_PROCESSOR_TIME)
        .exits(0)
        .contains("_shared_variables.json`: it is a link, which is not followed here");
}
