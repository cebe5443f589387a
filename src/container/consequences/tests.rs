use std::slice::from_ref;

use super::*;
use crate::mojito::script;

/// A container with these experiments. The library sets the days of its cookies.
fn container(experiments: &[String]) -> Script {
    let library = "Mojito=function(){var o={cookieDuration:60};return{addTest:function(){}}}()";
    script::read(&format!("{library};{}", experiments.concat())).unwrap()
}

fn add(id: &str, properties: &str) -> String {
    add_with(id, properties, "0:{},1:{js(){a()}}")
}

fn add_with(id: &str, properties: &str, recipes: &str) -> String {
    format!("Mojito.addTest({{id:'{id}',{properties},recipes:{{{recipes}}},trigger(e){{e.activate()}}}});")
}

#[track_caller]
fn case(old: &[String], new: &[String], expected: &[&str]) {
    let consequences = between(&container(old), &container(new));
    let sentences: Vec<&str> = consequences.iter().map(|it| &*it.sentence).collect();
    assert_eq!(sentences, expected);
}

fn live(share: &str) -> String {
    format!("state:'live',sampleRate:{share}")
}

#[test]
fn a_sample_rate_is_for_new_visitors_only() {
    #[track_caller]
    fn ramps(rates: &[(&str, &str)], expected: &str) {
        let [old, new] = [0, 1].map(|at| {
            let rates = rates.iter().enumerate();
            let rate = |rates: &(&str, &str)| live([rates.0, rates.1][at]);
            let added = rates.map(|(number, it)| add(&format!("w{number}"), &rate(it)));
            added.collect::<Vec<_>>()
        });
        case(&old, &new, &[expected]);
    }
    ramps(
        &[(".1", ".5")],
        "w0: new rate for new visitors only: those left out stay out for up to 60 days",
    );
    ramps(
        &[("0", ".5"), (".1", "1")],
        "w0, w1: new rate for new visitors only: those left out stay out for up to 60 days",
    );
    ramps(
        &[(".5", ".1")],
        "w0: new rate for new visitors only: those in the test stay in it for up to 60 days",
    );
    ramps(
        &[(".5", "0")],
        "w0: no new visitors; those in the test stay in it for up to 60 days",
    );
    ramps(
        &[(".5", "0"), (".5", ".1")],
        "w0, w1: new rate for new visitors only: those in the test stay in it for up to 60 days",
    );
    ramps(
        &[(".5", "0"), (".1", ".5"), (".5", ".5")],
        "w0, w1: new rates for new visitors only: others stay in or out for up to 60 days",
    );
}

#[test]
fn what_was_not_live_before_or_is_not_now_has_no_consequence() {
    let [tenth, half] = [".1", ".5"].map(live);
    for (old, new) in [
        ("state:'staging',sampleRate:.1", half.as_str()),
        (&tenth, "state:'staging',sampleRate:.5"),
        ("state:'staging',sampleRate:.1", "state:'staging'"),
        ("state:a(),sampleRate:.1", &half),
        (&tenth, "state:'live',sampleRate:a()"),
    ] {
        case(&[add("w1", old)], &[add("w1", new)], &[]);
    }
    case(&[add("w1", &tenth)], &[add("w1", &tenth)], &[]);
    case(&[add("w1", &tenth)], &[], &[]);
    case(&[], &[add("w1", &tenth)], &[]);
    // Of the same id, it is not certain which one a visitor gets.
    let twice = [add("w1", &tenth), add("w1", "state:'staging'")];
    case(&twice, &[add("w1", &half)], &[]);
    case(
        &[add("w1", &tenth)],
        &[add("w1", &half), add("w1", &half)],
        &[],
    );
}

#[test]
fn the_days_are_left_out_where_they_are_not_certain() {
    let [old, new] = [".1", ".5"].map(|share| vec![add("w1", &live(share))]);
    let other = "Mojito.options.cookieDuration=30;".to_owned();
    let uncertain =
        "w1: new rate for new visitors only: those left out stay out until their cookie expires";
    case(
        &[old.clone(), vec![other.clone()]].concat(),
        &new,
        &[uncertain],
    );
    case(&old, &[new, vec![other]].concat(), &[uncertain]);
}

#[test]
fn visitors_of_a_removed_recipe_drop_out() {
    let three = |properties: &str| add_with("w1", properties, "0:{},1:{js(){a()}},2:{js(){b()}}");
    let half = live(".5");
    let dropped = "w1: visitors of a removed recipe leave the test, and stay out for up to 60 days";
    case(&[three(&half)], &[add("w1", &half)], &[dropped]);
    let diverted = format!("{half},divertTo:'2'");
    let resumed = "w1: decisions from before the divert count again; other visitors are new";
    case(
        &[three(&diverted)],
        &[add("w1", &half)],
        &[dropped, resumed],
    );
    case(&[three("state:'staging'")], &[add("w1", &half)], &[]);
    let computed = format!("Mojito.addTest({{id:'w1',{half},recipes:a,trigger(e){{e()}}}});");
    let code = "w1: its code changes: results from before and after are not comparable";
    case(&[three(&half)], &[computed], &[code]);
}

#[test]
fn other_recipes_are_for_new_visitors_only() {
    let half = live(".5");
    let with = |recipes: &str| [add_with("w1", &half, recipes)];
    let kept = "w1: new recipes for new visitors only: others keep theirs for up to 60 days";
    let even = "0:{sampleRate:.5},1:{sampleRate:.5}";
    case(
        &with(even),
        &with("0:{sampleRate:.1},1:{sampleRate:.9}"),
        &[kept],
    );
    case(
        &with("0:{},1:{}"),
        &with("0:{},1:{},2:{js(){b()}}"),
        &[kept],
    );
    case(&with("0:{},1:{name:'A'}"), &with("0:{},1:{name:'B'}"), &[]);
}

#[test]
fn results_of_other_code_are_not_comparable() {
    let half = live(".5");
    let added = add("w1", &half);
    let code = "w1: its code changes: results from before and after are not comparable";
    for (from, to) in [
        ("a()", "b()"),
        ("e.activate()", "b(e)"),
        ("1:{", "1:{css:'a{}',"),
        (",trigger", ",css:'a{}',trigger"),
    ] {
        case(from_ref(&added), &[added.replace(from, to)], &[code]);
    }
    let renamed = added.replace("(e){e.", "(t){t.");
    case(from_ref(&added), &[renamed], &[]);
    let staged = add("w1", "state:'staging'");
    case(&[staged.replace("a()", "b()")], &[staged], &[]);
}

#[test]
fn visitors_without_a_recipe_stay_without_one() {
    let with = |id: &str, recipes: &str| add_with(id, &live(".5"), recipes);
    let even = "0:{sampleRate:.5},1:{sampleRate:.5}";
    let less = "0:{sampleRate:.5},1:{sampleRate:.4}";
    let more = "0:{sampleRate:.7},1:{sampleRate:.6}";
    let without =
        "w1: 10% of its new visitors get no recipe, and stay without one for up to 60 days";
    let kept = "w1: new recipes for new visitors only: others keep theirs for up to 60 days";
    case(&[with("w1", even)], &[with("w1", less)], &[without, kept]);
    case(&[], &[with("w1", less)], &[without]);
    let staged = add_with("w1", "state:'staging'", less);
    case(from_ref(&staged), &[with("w1", less)], &[without]);
    case(&[], &[staged], &[]);
    // That is a warning at each publish, and no change.
    case(&[with("w1", less)], &[with("w1", less)], &[]);
    let promised = "recipes do not get the shares of their sample rates (see the warnings)";
    case(&[], &[with("w1", more)], &[&format!("w1: {promised}")]);
    case(
        &[],
        &[with("w1", less), with("w2", less)],
        &[&format!("w1, w2: {promised}")],
    );
}

#[test]
fn a_divert_is_for_all_and_keeps_nothing() {
    let [live, diverted] =
        ["", ",divertTo:'1'"].map(|divert| [add("w1", &format!("state:'live'{divert}"))]);
    let for_all = "w1: one recipe for all, also those left out; no exposures are tracked";
    case(&live, &diverted, &[for_all]);
    let resumed = "w1: decisions from before the divert count again; other visitors are new";
    case(&diverted, &live, &[resumed]);
    case(&diverted, &diverted, &[]);
}

#[test]
fn under_a_new_id_all_visitors_are_decided_anew() {
    let half = live(".5");
    let anew = "w2: same code under a new id: all its visitors are decided anew";
    case(&[add("w1", &half)], &[add("w2", &half)], &[anew]);
    let other = add("w2", &half).replace("a()", "b()");
    case(&[add("w1", &half)], &[other], &[]);
    case(&[add("w1", "state:'staging'")], &[add("w2", &half)], &[]);
    case(
        &[add("w1", &half)],
        &[add("w1", &half), add("w2", &half)],
        &[],
    );
}

#[test]
fn of_many_kinds_the_four_weightiest_are_said() {
    use ConsequenceKind::{Code, RecipesRemoved, SampleRate, Weights};
    let with = |id: &str, properties: &str, recipes: &str| add_with(id, properties, recipes);
    let (half, two) = (live(".5"), "0:{},1:{js(){a()}}");
    let all = |ramp: &str, code: &str, recipes: [&str; 2], divert: &str| {
        [
            with("w1", &live(ramp), two),
            with("w2", &half, &two.replace("a()", code)),
            with("w3", &half, recipes[0]),
            with("w4", &half, recipes[1]),
            with("w5", &format!("state:'live'{divert}"), two),
        ]
    };
    let old = all(
        ".1",
        "a()",
        ["0:{},1:{},2:{}", "0:{sampleRate:.5},1:{sampleRate:.5}"],
        "",
    );
    let new = all(
        ".5",
        "b()",
        ["0:{},1:{}", "0:{sampleRate:.5},1:{sampleRate:.4}"],
        ",divertTo:'1'",
    );
    let consequences = between(&container(&old), &container(&new));
    let kinds: Vec<_> = consequences.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Weights, RecipesRemoved, SampleRate, Code]);
}

#[test]
fn a_sentence_is_bounded_however_many_experiments_it_is_about() {
    let ids: Vec<String> = (0..300)
        .map(|number| format!("{number}{}", "x".repeat(10_000)))
        .collect();
    let [old, new] = [".1", ".5"].map(|share| {
        let added = ids.iter().map(|id| add(id, &live(share)));
        container(&added.collect::<Vec<_>>())
    });
    let consequences = between(&old, &new);
    let [consequence] = &consequences[..] else {
        panic!("{consequences:?}")
    };
    assert_eq!(consequence.experiments.len(), 300);
    assert!(consequence.sentence.len() < 600, "{}", consequence.sentence);
    assert!(consequence.sentence.contains(" and 290 more: new rate"));
}
