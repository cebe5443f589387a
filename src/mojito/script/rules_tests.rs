//! Tests of what Mojito makes of an experiment, and of what is said about it.

use super::*;
use crate::common::testing::rows;
use crate::mojito::experiment::{describe_recipes, Traffic};

const VALID: &str = "Mojito.addTest({id:'w9',state:'live',recipes:{0:{},1:{}},trigger(){}});";

/// Each experiment's traffic, its recipes where they run, and its problems.
fn described(text: &str) -> Vec<[String; 3]> {
    let script = read(text).unwrap_or_else(|error| panic!("{error:?} in {text}"));
    let experiments = script.experiments.iter();
    let described = experiments.map(|it| {
        [
            it.describe_traffic(),
            describe_recipes(&it.recipes),
            it.problems
                .iter()
                .map(|it| it.text.as_str())
                .collect::<Vec<_>>()
                .join(" | "),
        ]
    });
    described.collect()
}

/// A live experiment, with these properties instead of its own.
fn live(properties: &str) -> String {
    format!("Mojito.addTest({{id:'w1',state:'live',recipes:{{0:{{}},1:{{}}}},trigger(){{}},{properties}}});")
}

#[test]
fn nothing_runs_from_the_experiment_at_which_mojito_throws() {
    for [properties, problem, remedy] in rows(
        "recipes:{0:{sampleRate:'0.5'},1:{sampleRate:'0.5'}} | has a quoted sample rate ('0.5') for the recipe `0` | remove the quotes
         recipes:{0:{sampleRate:.5},1:{sampleRate:''}}       | has a quoted sample rate ('') for the recipe `1` | remove the quotes
         recipes:{0:{sampleRate:.5},1:{sampleRate:[.5]}}     | has a sample rate that is not a number for the recipe `1` | write 50% as 0.5
         recipes:null                                        | has no recipes | give it at least 2
         recipes:void 0                                      | has no recipes | give it at least 2
         recipes:[]                                          | has fewer than 2 recipes | give it at least 2
         recipes:{0:{},0:{}}                                 | has fewer than 2 recipes | give it at least 2
         recipes:5                                           | has fewer than 2 recipes | give it at least 2
         recipes:{0:{},1:null}                               | has the recipe `1`, which is blank | give the recipe its properties
         recipes:[{sampleRate:.5},{}]                        | has sample rates for some recipes but not for others | give one to all or to none
         sampleRate:50                                       | has a sample rate of 50, which is above 1 | write 50% as 0.5
         sampleRate:'2'                                      | has a sample rate of `2`, which is above 1 | write 50% as 0.5
         options:null                                        | has `options` that are not an object | remove them
         id:null                                             | has no id | give it an `id`",
    ) {
        let thrower = live(properties);
        let [it, later] = &described(&(thrower.clone() + VALID))[..] else {
            panic!("{thrower}");
        };
        let throws = "Mojito throws here; it and the experiment after it do not run";
        assert_eq!(it[2], format!("{problem}: {throws}; {remedy}"), "{thrower}");
        let traffic = (&*it[0], &*later[0], &*later[2]);
        assert_eq!(traffic, ("does not run", "does not run", ""));
        // Those before it run.
        let [earlier, it] = &described(&(VALID.to_owned() + &thrower))[..] else {
            panic!("{thrower}");
        };
        let throws = "Mojito throws here, so it does not run";
        assert_eq!(it[2], format!("{problem}: {throws}; {remedy}"));
        assert_eq!(earlier[0], "100%");
    }
}

#[test]
fn only_the_first_of_several_throws_stops_the_others() {
    let [first, between, second, last] =
        &described(&[live("id:null"), live(""), live("sampleRate:2"), live("")].concat())[..]
    else {
        panic!();
    };
    assert!(first[2].contains("it and the 3 experiments after it do not run"));
    let would =
        "has a sample rate of 2, which is above 1: Mojito would throw here too; write 50% as 0.5";
    assert_eq!((&*between[2], &*second[2], &*last[2]), ("", would, ""));
    let script = read(&(live("id:null") + VALID)).unwrap();
    let reason = "Mojito throws before it, at ?".to_owned();
    assert_eq!(script.experiments[1].traffic, Traffic::Broken { reason });
}

#[test]
fn what_mojito_ignores_or_catches_is_said_with_its_effect() {
    for [properties, traffic, problem] in rows(
        "trigger:''            | does not run   | has no trigger function, so it never activates; give it a `trigger`
         trigger:void 0        | does not run   | has no trigger function, so it never activates; give it a `trigger`
         trigger:{}            | does not run   | has no trigger function, so it never activates; give it a `trigger`
         trigger:function*(){} | does not run   | has no trigger function, so it never activates; give it a `trigger`
         trigger:class{}       | does not run   | has no trigger function, so it never activates; give it a `trigger`
         state:'',trigger:x    | staged         | has the state ``, which Mojito does not know: no new visitor gets it; write `live` or `staging`
         state:'paused'        | staged         | has the state `paused`, which Mojito does not know: no new visitor gets it; write `live` or `staging`
         state:null            | does not run   | has the state null, so it never activates; write `live` or `staging`
         state:!0              | does not run   | has the state true, so it never activates; write `live` or `staging`
         divertTo:1            | 100%           | has the `divertTo` 1, which Mojito ignores: it must be a recipe's id in quotes
         divertTo:'9'          | 100%           | has the `divertTo` `9`, which Mojito ignores: there is no such recipe
         divertTo:'toString'   | 100%           | has the `divertTo` `toString`, which Mojito ignores: there is no such recipe
         sampleRate:'50%'      | 0%             | has a sample rate that is not a number, so no visitor gets it; write 50% as 0.5
         sampleRate:void 0     | 0%             | has a sample rate that is not a number, so no visitor gets it; write 50% as 0.5
         sampleRate:null       | 0%             | has a blank sample rate, so no visitor gets it; write 50% as 0.5",
    ) {
        let [described] = &described(&live(properties))[..] else {
            panic!("{properties}");
        };
        assert_eq!((&*described[0], &*described[2]), (traffic, problem), "{properties}");
    }
}

#[test]
fn what_is_fine_has_no_warning() {
    for [properties, traffic] in rows(
        "id:''                                   | 100%
         id:!0                                   | 100%
         id:0                                    | 100%
         name:null                               | 100%
         state:'LIVE'                            | 100%
         sampleRate:'0.5'                        | 50%
         sampleRate:'0x1'                        | 100%
         sampleRate:[.5]                         | 50%
         sampleRate:!0                           | 100%
         sampleRate:-1                           | 0%
         divertTo:''                             | 100%
         divertTo:null                           | 100%
         divertTo:!1                             | 100%
         divertTo:'1'                            | all get `1`
         divertTo:'1',recipes:[{},{}]            | all get `1`
         divertTo:'1',recipes:{...a}             | computed by code
         divertTo:'1',recipes:'ab'               | all get `1`
         recipes:{constructor:{},toString:{}}    | 100%
         recipes:{0:{sampleRate:.1},1:{sampleRate:.2},2:{sampleRate:.7}} | 100%
         recipes:{0:{sampleRate:.7},1:{sampleRate:.2},2:{sampleRate:.1}} | 100%
         recipes:{0:{sampleRate:1/3},1:{sampleRate:1/3},2:{sampleRate:1/3}} | 100%
         recipes:{0:{sampleRate:0},1:{sampleRate:1}} | 100%
         options:{},trigger:e=>e.activate()      | 100%
         trigger:e                               | 100%
         ...a                                    | computed by code",
    ) {
        let [described] = &described(&live(properties))[..] else {
            panic!("{properties}");
        };
        assert_eq!(
            (&*described[0], &*described[2]),
            (traffic, ""),
            "{properties}"
        );
    }
}

#[test]
fn recipes_have_the_shares_that_mojito_gives_them() {
    for [recipes, shares, effect] in rows(
        "b:{},a:{},1:{},0:{}                             | 0 / 1 / b / a          |
         a:{sampleRate:.75},b:{sampleRate:.25}           | a 75% / b 25%          |
         a:{sampleRate:.5},b:{sampleRate:.3}             | a 50% / b 30%          | recipe sample rates that add up to 0.8: 20% of its visitors get no recipe; make them add up to 1
         a:{sampleRate:.7},b:{sampleRate:.5}             | a 50% / b 50%          | recipe sample rates that add up to 1.2: `a` gets 50%; make them add up to 1
         a:{sampleRate:50},b:{sampleRate:50}             | a 100% / b 0%          | recipe sample rates that add up to 100: `a` gets 100%, `b` gets 0%; make them add up to 1
         a:{sampleRate:-.5},b:{sampleRate:1}             | a 0% / b 50%           | a recipe sample rate below 0: 50% of its visitors get no recipe, `a` gets 0%, `b` gets 50%; write 50% as 0.5
         a:{sampleRate:NaN},b:{sampleRate:.5}            | a 0% / b 0%            | a recipe sample rate that is not a number: 100% of its visitors get no recipe, `b` gets 0%; write 50% as 0.5
         a:{sampleRate:!0},b:{sampleRate:!1}             | a 100% / b 0%          |
         a:0,b:{},c:{},d:{}                              | a 0% / b 25% / c 25% / d 25% | the recipe `a`, which is blank: visitors who draw it see nothing; give it its properties
         a:{sampleRate:x},b:{sampleRate:.5}              | a ? / b ?              |
         a:x,b:{}                                        | a / b                  |
         a:x,b:{sampleRate:.5}                           | a ? / b ?              |",
    ) {
        let text = live(&format!("sampleRate:.5,recipes:{{{recipes}}}"));
        let [described] = &described(&text)[..] else {
            panic!("{recipes}");
        };
        let problem = if effect.is_empty() { String::new() } else { format!("has {effect}") };
        let expected = ["50%", shares, &problem];
        assert_eq!(described.each_ref().map(String::as_str), expected, "{recipes}");
    }
    // Where all get one recipe, the rates do not matter.
    let diverted = live("divertTo:'a',recipes:{a:{sampleRate:.5},b:{sampleRate:.3}}");
    assert_eq!(described(&diverted)[0][2], "");
}

#[test]
fn an_id_that_is_used_twice_leaves_the_later_one_to_chance() {
    let twice = live("sampleRate:.1") + &live("sampleRate:.9") + &live("state:'staging'");
    let traffic = described(&twice);
    let traffic: Vec<&str> = traffic.iter().map(|it| &*it[0]).collect();
    assert_eq!(traffic, ["10%", "computed by code", "staged"]);
    let unknown = described(&live("id:x").repeat(2));
    assert_eq!((&*unknown[0][0], &*unknown[1][0]), ("100%", "100%"));
}

/// The libraries are known by the messages of their errors.
#[test]
fn older_libraries_have_rules_of_their_own() {
    #[track_caller]
    fn case(library: &str, properties: &str, traffic: &str, problem: &str) {
        let described = described(&(library.to_owned() + &live(properties)));
        assert_eq!(described[0][0], traffic, "{properties}");
        assert!(described[0][2].starts_with(problem), "{described:?}");
        assert_eq!(
            described[0][2].is_empty(),
            problem.is_empty(),
            "{described:?}"
        );
    }
    let before_2_3 = "'Specify a trigger function for this test.';'The sum of all the simple rates must be equal to 1';";
    let before_2_2_3 = before_2_3;
    let version_2_2_3 = format!("{before_2_3}'trigger failed, error: ';");
    let version_2_3 =
        "'The sum of all the simple rates must be equal to 1';'trigger failed, error: ';";
    let name = "name:'Hero'";
    case(
        before_2_3,
        "",
        "does not run",
        "has no name: Mojito throws here",
    );
    case(before_2_3, name, "100%", "");
    case(
        before_2_3,
        &format!("{name},trigger:''"),
        "does not run",
        "has no trigger function: Mojito throws here",
    );
    case(before_2_3, &format!("{name},state:null"), "staged", "");
    case(before_2_3, &format!("{name},options:null"), "100%", "");
    let below = format!("{name},recipes:{{0:{{sampleRate:.5}},1:{{sampleRate:.3}}}}");
    case(
        before_2_3,
        &below,
        "does not run",
        "has recipe sample rates that add up to 0.8: Mojito throws here",
    );
    case(
        before_2_2_3,
        &format!("{name},state:5"),
        "does not run",
        "has a state that is not a text: Mojito throws here",
    );
    case(
        &version_2_2_3,
        &format!("{name},state:5"),
        "does not run",
        "has the state 5, so it never activates",
    );
    let some = "recipes:{0:{sampleRate:.5},1:{}}";
    case(version_2_3, some, "100%", "");
    case(
        "",
        some,
        "does not run",
        "has sample rates for some recipes",
    );
    let version_1 = format!("{before_2_3}e={{getSameSimpleRateValueRecipes(){{}}}};");
    let rates = "a:{sampleRate:.5},b:{sampleRate:.25},c:{sampleRate:.25}";
    let [described] = &described(&(version_1 + &live(&format!("{name},recipes:{{{rates}}}"))))[..]
    else {
        panic!();
    };
    assert_eq!(described[1], "a 75% / b 12.5% / c 12.5%");
    assert!(described[2].starts_with(
        "has recipe sample rates that this version of Mojito does not add up: `a` gets 75%"
    ));
}
