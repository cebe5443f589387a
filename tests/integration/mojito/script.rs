//! What is known of a container before it is published: broken ones are refused, odd ones are warned of, heavy ones weighed.

use snapbox::str;

use crate::support::harness::Case;
use crate::support::sample::{self, Experiment};

/// Refused with exit 2, with its file named, before any request.
#[track_caller]
fn refused(what: &str, content: &[u8]) {
    let case = Case::production().file("dist/assets/js/mojito.js", content);
    let ended = case.run();
    assert_eq!(ended.code, Some(2), "{what}:\n{}", ended.output);
    ended
        .contains("`dist/assets/js/mojito.js` ")
        .contains("nothing was uploaded; visitors still get the old container");
    assert!(case.requests().is_empty(), "{what}");
}

#[test]
fn a_container_that_is_cut_off_anywhere_is_refused() {
    for good in [sample::minified("mojito"), sample::pretty("mojito")] {
        for part in 0..15 {
            let end = good.floor_char_boundary(good.len() * part / 15);
            refused(&format!("cut off at {end}"), &good.as_bytes()[..end]);
        }
        let last = good.trim_end().trim_end_matches(';').len() - 1;
        refused("without its last character", &good.as_bytes()[..last]);
    }
}

#[test]
fn a_container_with_a_broken_byte_is_refused() {
    let good = sample::minified("mojito");
    for (from, to) in [
        ("Mojito=function(){", "Mojito=function()["),
        ("sampleRate:.5", "sampleRate:.5.5"),
        ("sampleRate:.5", "sampleRate:5%"),
        ("id:\"w1\"", "id:\"w1"),
        ("id:\"w1\",", "id:\"w1\""),
        ("recipes:{0:", "recipes:{0=="),
        ("throw new Error", "throw\nnew Error"),
        ("try{", "tyr{"),
        ("return t.prototype", "return t..prototype"),
        ("var e={}", "let e={};let e={}"),
        ("e.trigger(this)", "e.trigger(this"),
        ("\"/\"===", "\"/===\n"),
        ("Math.random()", "Math.random(})"),
        ("!navigator", "!/[/navigator"),
        ("sampleRate:.5", "sampleRate:\u{200b}.5"),
        ("function(e){\"/\"", "function(e,){await \"/\""),
    ] {
        assert!(good.contains(from), "{from}");
        refused(to, good.replacen(from, to, 1).as_bytes());
    }
}

#[test]
fn what_is_no_container_is_refused() {
    let good = sample::minified("mojito");
    let pretty = sample::pretty("mojito");
    for (what, content) in [
        ("a page", "<!DOCTYPE html><title>Mojito</title>".to_owned()),
        (
            "an answer of S3",
            "<?xml version=\"1.0\"?><Error>Mojito</Error>".to_owned(),
        ),
        (
            "a conflict",
            pretty.replacen("    Mojito.addTest", "<<<<<<< HEAD\n    Mojito.addTest", 1),
        ),
        ("a module", format!("{good}\nexport default Mojito;")),
        ("a module", format!("import 'mojito';\n{good}")),
        (
            "half of each",
            format!("{}{pretty}", &good[..good.len() / 2]),
        ),
        ("another container", sample::minified("shop")),
        ("another script", "alert('Mojito')".to_owned()),
        ("JSON", "{\"container\":\"mojito\",\"size\":1}".to_owned()),
        (
            "TypeScript",
            format!("const name: string = 'mojito';\n{good}"),
        ),
        ("a path", "../mojito.js".to_owned()),
        ("nothing", String::new()),
        ("spaces", " \n\t".to_owned()),
        ("a comment", "/* Mojito */".to_owned()),
    ] {
        refused(what, content.as_bytes());
    }
    let utf_16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused("UTF-16", &utf_16);
    refused("gzip", &[0x1f, 0x8b, 8, 0]);
    refused("Latin-1", b"Mojito = '\xe4';");
}

#[test]
fn no_good_container_is_refused() {
    let good = sample::minified("mojito");
    let pretty = sample::pretty("mojito");
    for (what, content) in [
        ("minified", good.clone()),
        ("pretty", pretty.clone()),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("Windows' line ends", pretty.replace('\n', "\r\n")),
        ("a source map", format!("{good}\n//# sourceMappingURL=mojito.js.map\n")),
        ("strict", format!("'use strict';\n{good}")),
        ("without build information", good.replacen("Mojito.buildInfo=", "Mojito.info=", 1)),
        ("more than one load allowed", pretty.replacen("if (!window.Mojito || !Mojito.testObjects || !Object.keys(Mojito.testObjects).length) {", "{", 1)),
        ("only experiments", "window.Mojito&&Mojito.addTest({id:'w1',recipes:{0:{},1:{}}})".to_owned()),
        ("a word that looks like a conflict", format!("{pretty}/*\n<<<<<<< HEAD\n*/")),
        ("HTML in a text", good.replacen("Guten Tag", "<!DOCTYPE html><script>", 1)),
        ("sloppy", format!("{good};with(Mojito)var octal=010;")),
        ("new syntax", format!("{good};Mojito.a??=async()=>{{for await(const{{...b}}of c)d**=1_0n}};")),
    ] {
        let case = Case::production().file("dist/assets/js/mojito.js", &content);
        let ended = case.run();
        assert_eq!(ended.code, Some(0), "{what}:\n{}", ended.output);
        assert_eq!(case.objects()[0].content(), content, "{what}");
    }
}

#[test]
fn the_place_is_shown() {
    let minified = sample::minified("mojito").replacen("id:\"w2\",", "id:\"w2,", 1);
    let pretty =
        sample::pretty("mojito").replacen("\"state\": \"live\",", "\"state\": \"live\"", 1);
    let case = Case::development()
        .file("dist/assets/js/mojito.js", minified)
        .file("dist/assets/js/mojito.pretty.js", pretty);
    case.run().exits(2).prints(str![[r#"
[VERSION]
✖ 2 files cannot be published:
    `dist/assets/js/mojito.pretty.js` is not a valid script: Expected `,` or `}` but found `string`
        --> dist/assets/js/mojito.pretty.js:42:9
         |
      42 |         "sampleRate": 0.5,
         |         ^^^^^^^^^^^^
      check its sources and rebuild
      to publish it anyway, set `VALIDATE` to `false`
    `dist/assets/js/mojito.js` is not a valid script: Expected `,` or `}` but found `Identifier`
       --> dist/assets/js/mojito.js:2:1228
        |
      2 | ...to.addTest({state:"staging",sampleRate:1,id:"w2,name:"W2 Headline",recipes:{0:{name:"Control"},1:{name:"Treatm...
        |                                                          ^^
      check its sources and rebuild
      to publish it anyway, set `VALIDATE` to `false`
  nothing was uploaded; visitors still get the old container

"#]]);
}

#[test]
fn a_suspicious_container_is_published_with_a_warning() {
    let no_experiments = [];
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1");
    sample::build_with(case.repository(), "mojito", &no_experiments, "e", "abc1234");
    case.run().exits(0)
        .contains("WARNING: mojito was built from commit abc1234, but this pipeline runs for 1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c")
        .contains("WARNING: mojito has no experiments");
}

#[test]
fn experiments_that_cannot_be_read_are_a_warning() {
    let library = "Mojito=function(){return{addTest:function(){}}}()";
    for added in [
        "M=Mojito,M.addTest({id:'w1'})",
        "Mojito.addTest.call(Mojito,{id:'w1'})",
        "({addTest:a}=Mojito),a({id:'w1'})",
    ] {
        let content = format!("{library};{added}");
        let case = Case::production().file("dist/assets/js/mojito.js", content);
        let ended = case.run().exits(0);
        let ended = ended.contains("container mojito: 1 unreadable\n").contains(
            "WARNING: mojito uses `addTest` in a way that cannot be read; experiments that this adds are not listed",
        );
        assert!(!ended.output.contains("nuke.lock"), "{}", ended.output);
    }
}

#[test]
fn a_container_that_needs_another_one_is_published_and_warned_of_if_it_does_not_test_for_it() {
    let bare = "Mojito.addTest({id:'w1',recipes:{0:{},1:{}}})";
    let warning = "WARNING: mojito uses `Mojito`, but neither defines it nor tests for it";
    let run = |content: &str| {
        let case = Case::production().file("dist/assets/js/mojito.js", content);
        case.run().exits(0).output.contains(warning)
    };
    assert!(run(bare));
    assert!(!run(&bare.replacen('.', "?.", 1)));
    assert!(!run(&format!("try{{{bare}}}catch(a){{}}")));
    assert!(!run(&format!("if(window['Mojito']){bare}")));
    assert!(!run(&format!(
        "let\n++a;f()=1;for(f() in a);window.Mojito&&{bare};let"
    )));
}

#[test]
fn a_container_over_its_budget_is_refused_with_what_weighs_most() {
    let case = Case::production().env("MAX_SIZE", "0.7 kB");
    case.run().exits(2).contains(r#"✖ `dist/assets/js/mojito.js` is 807 bytes compressed, but `MAX_SIZE` allows 700 bytes: stop or shrink experiments, or raise `MAX_SIZE`
  largest experiments, before compression:
    w1  W1 Größere Schaltfläche  50%     231 bytes  15.6% of the file
"#).contains("w2  W2 Headline              staged  226 bytes  15.2% of the file");
    assert!(case.requests().is_empty());
    let case = case.env("MAX_SIZE", "0.9 kB");
    case.run().exits(0);
}

#[test]
fn experiments_are_listed_for_a_marketer() {
    let case = Case::production();
    let experiment = |id, name, properties| Experiment {
        id,
        name,
        properties,
        headline: "Hello",
    };
    let experiments = [
        experiment("w1", "W1 Hero", "\"state\":\"live\",\"sampleRate\":0.1"),
        experiment(
            "w2",
            "W2 大きなボタン",
            "\"state\":\"staging\",\"sampleRate\":1",
        ),
        experiment(
            "w3",
            "W3 Footer",
            "\"state\":\"live\",\"sampleRate\":1,\"divertTo\":\"1\"",
        ),
        experiment("w4", "W4 Everybody", "\"state\":\"live\",\"sampleRate\":1"),
        experiment("w5", "W5 Nobody", "\"state\":\"live\",\"sampleRate\":0"),
        experiment(
            "w6",
            "W6 \\u001b[31mRed",
            "\"state\":\"live\",\"sampleRate\":0.333",
        ),
        experiment("w7", "W7 Computed", "\"state\":location.hash"),
    ];
    sample::build_with(case.repository(), "mojito", &experiments, "e", "1f2e3d4");
    case.run().exits(0).contains(
        r#"container mojito: 4 live, 1 diverted, 1 computed, 1 staged
  built 2026-11-24 05:00 UTC from commit 1f2e3d4 with Mojito 2.7.1
  live      ██████████   100%  w4  W4 Everybody     Control / Treatment
  live      ███░░░░░░░  33.3%  w6  W6 �[31mRed      Control / Treatment
  live      █░░░░░░░░░    10%  w1  W1 Hero          Control / Treatment
  live      ░░░░░░░░░░     0%  w5  W5 Nobody        Control / Treatment
  diverted  ██████████    all  w3  W3 Footer        → Treatment
  computed                     w7  W7 Computed      only running the container would show who has it
  staged                       w2  W2 大きなボタン  Control / Treatment
"#,
    );
}
