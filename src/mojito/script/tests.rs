//! Tests of the parser: valid and invalid scripts, experiments, hashes, and limits.

use proptest::prelude::*;

use super::*;
use crate::mojito::experiment::{Part, Recipe, RecipeShare, Traffic};

const MINIFIED: &str = include_str!("../../../tests/support/sample/mojito.js");
const PRETTY: &str = include_str!("../../../tests/support/sample/mojito.pretty.js");

/// What an experiment needs to run.
const RUNNING: &str = "id:'w1',recipes:{0:{name:'A'},1:{name:'B'}},trigger(e){e.activate()}";

/// Reads an experiment with these properties.
fn experiment(properties: &str) -> Experiment {
    let text = format!("Mojito.addTest({{{properties}}})");
    let mut script = read(&text).unwrap_or_else(|error| panic!("{error:?} in {text}"));
    assert_eq!(script.experiments.len(), 1, "{text}");
    script.experiments.remove(0)
}

fn recipe(id: &str, name: &str, share: Option<f64>) -> Recipe {
    Recipe {
        id: id.to_owned(),
        name: name.to_owned(),
        share: share.map_or(RecipeShare::Equal, RecipeShare::Exact),
    }
}

#[test]
fn minified_and_pretty_scripts_read_the_same() {
    for text in [MINIFIED, PRETTY] {
        let script = read(text).unwrap();
        assert!(script.is_mojito);
        let info = script.build_info.unwrap();
        assert_eq!(info.container.as_deref(), Some("CONTAINER"));
        assert_eq!(info.commit.as_deref(), Some("1f2e3d4c5b6a"));
        assert_eq!(info.mojito_version.as_deref(), Some("2.7.1"));
        let [w1, w2] = &script.experiments[..] else {
            panic!("{:?}", script.experiments);
        };
        assert_eq!(
            (&*w1.id, &*w1.name, &*w2.id, &*w2.name),
            ("w1", "W1 Größere Schaltfläche", "w2", "W2 Headline")
        );
        assert_eq!(w1.traffic, Traffic::Live { share: 0.5 });
        assert_eq!(w2.traffic, Traffic::Staged);
        let recipes = [recipe("0", "Control", None), recipe("1", "Treatment", None)];
        assert_eq!(
            (&w1.recipes[..], &w2.recipes[..]),
            (&recipes[..], &recipes[..])
        );
    }
}

#[test]
fn a_value_is_read_in_every_form_that_minifiers_write() {
    for (share, rates) in [
        (0.5, ".5, 0.5, '0.5'"),
        (0.25, "1/4"),
        (0.1, "1e-1, +.1, (.1)"),
        (1.0, "!0"),
        (0.0, "null, void 0, -1, 'half', 'NaN', 0/0"),
    ] {
        for rate in rates.split(", ") {
            let live = experiment(&format!("{RUNNING},state:'live',sampleRate:{rate}"));
            assert_eq!(live.traffic, Traffic::Live { share }, "{rate}");
        }
    }
}

/// NaN does not equal itself, so every build would seem to ramp it.
#[test]
fn a_rate_that_is_not_a_number_is_zero_in_every_build() {
    let recipes = "recipes:{a:{sampleRate:0/0},b:{sampleRate:.5}},trigger(e){e.activate()}";
    let read = || experiment(&format!("id:'w1',state:'live',sampleRate:'half',{recipes}"));
    let live = read();
    assert_eq!(live, read());
    assert_eq!(live.describe_traffic(), "0%");
    let recipes = [recipe("a", "a", Some(0.0)), recipe("b", "b", Some(0.0))];
    assert_eq!(live.recipes, recipes);
    let problems = live.problems.iter().map(|it| it.text.as_str());
    let problems = problems.collect::<String>();
    assert!(problems.contains("sample rate that is not a number"));
}

#[test]
fn traffic_follows_mojitos_own_rules() {
    #[track_caller]
    fn case(properties: &str, expected: &Traffic) {
        let read = experiment(&format!("{RUNNING},{properties}"));
        assert_eq!(&read.traffic, expected, "{properties}");
    }
    let all = Traffic::Live { share: 1.0 };
    let none = Traffic::Live { share: 0.0 };
    let recipe = "1".to_owned();
    case("state:'live'", &all);
    case("state:'LIVE',divertTo:null", &all);
    case("'state':`live`,'sampleRate':0", &none);
    case("", &Traffic::Staged);
    case("state:'staging',divertTo:'1'", &Traffic::Staged);
    case("state:'live',divertTo:'1'", &Traffic::Diverted { recipe });
    // Mojito compares recipe ids as strings, so a number matches none.
    case("state:'live',divertTo:1", &all);
    case("state:'live',divertTo:'2'", &all);
    case("state:x", &Traffic::Dynamic);
    case("state:'live',sampleRate:x()", &Traffic::Dynamic);
    case("state:'live',divertTo:x", &Traffic::Dynamic);
}

#[test]
fn recipes_are_read_with_their_names_and_shares() {
    let read = experiment("id:'w1',recipes:{a:{name:'A',sampleRate:.25},'b-c':{sampleRate:.75}}");
    let second = recipe("b-c", "b-c", Some(0.75));
    assert_eq!(read.recipes, [recipe("a", "A", Some(0.25)), second]);
}

#[test]
fn experiments_are_found_in_every_form_of_call() {
    /// Each script, the number of calls that cannot be read, and the ids of the experiments.
    #[track_caller]
    fn case(expected: &str) {
        let text = expected.split(" → ").next().unwrap();
        let script = read(text).unwrap();
        let ids: String = script.experiments.iter().map(|it| &*it.id).collect();
        let found = format!("{text} → {} {ids}", script.unreadable);
        assert_eq!(found, expected);
    }
    case("Mojito.addTest({id:'a'}) → 0 a");
    case("window.Mojito.addTest({id:'a'}),self.Mojito.addTest({id:'b'}) → 0 ab");
    case("Mojito['addTest']({id:'a'});Mojito?.addTest({id:5}) → 0 a5");
    case("!function(){if(x)for(;;)Mojito.addTest({id:'a'})}() → 0 a");
    case("var a={id:'a'};Mojito.addTest(a);Mojito.addTest() → 2 ");
    case("Mojito.addTest({name:'a'}) → 0 ?");
    // As minifiers call it on the value of the assignment.
    case("(Mojito=function(){}()).addTest({id:'a'}),Mojito.addTest({id:'b'}) → 0 ab");
    case("(window.Mojito=f()).addTest({id:'a'});((self.Mojito=f())).addTest({id:'b'}) → 0 ab");
    case("a||((Mojito=f()).buildInfo={},Mojito).addTest({id:'a'}) → 0 a");
    case("(window.Mojito||(Mojito=f())).addTest({id:'a'}),(M=Mojito).addTest({id:'b'}) → 0 ab");
    case("(a?Mojito:Mojito=f()).addTest({id:'a'}) → 0 a");
    case("window.Mojito?.addTest?.({id:'a'}),(Mojito?.addTest)({id:'b'}) → 0 ab");
    case("this.Mojito.addTest({id:'a'});top.Mojito.addTest({id:'b'}) → 0 ab");
    case("window['Mojito']['add'+'Test']({id:'a'}) → 0 a");
    case("try{Mojito.addTest({id:'a'})}catch(a){} → 0 a");
}

#[test]
fn whatever_mentions_add_test_and_is_not_read_is_counted() {
    #[track_caller]
    fn case(text: &str, expected: usize) {
        let script = read(text).unwrap();
        assert_eq!(script.unreadable, expected, "{text}");
        assert_eq!(script.experiments, [], "{text}");
    }
    for text in [
        "M=Mojito;M.addTest({id:'a'})",
        // Called without its `this`, so it throws.
        "(0,Mojito.addTest)({id:'a'})",
        "Mojito.addTest.call(Mojito,{id:'a'})",
        "Mojito.addTest.apply(Mojito,[{id:'a'}])",
        "Mojito.addTest.bind(Mojito)({id:'a'})",
        "({addTest:a}=Mojito),a({id:'a'})",
        "({addTest}=Mojito)",
        "const{addTest}=Mojito;addTest({id:'a'})",
        "var{'addTest':a=b}=Mojito",
        "function f(){this.Mojito.addTest({id:'a'})}",
        "Mojito[a?'addTest':'b']({id:'a'})",
        "var a=['options','addTest'];Mojito[a[1]]({id:'a'})",
        "var a='add'+'Te'+'st';Mojito[a]({id:'a'})",
        "eval('Mojito.addTest({id:1})')",
        "a(`Mojito.addTest(${b})`)",
        "with(Mojito)addTest({id:'a'})",
        "new Mojito.addTest({id:'a'})",
        "a=Mojito.addTest||b",
        "a.forEach(Mojito.addTest,Mojito)",
        "Mojito.addTest(...a)",
    ] {
        case(text, 1);
    }
    case("Mojito.addTest(a),M.addTest(b),c('addTest')", 3);
    // Definitions and tests.
    for text in [
        "Mojito=function(){return{addTest:function(a){}}}()",
        "Mojito={'addTest'(){},['addTest']:a}",
        "class A{addTest(){}static addTest=1}",
        "function addTest(){}Mojito={addTest}",
        "Mojito.addTest=function(){},Mojito['addTest']=a",
        "Object.defineProperty(Mojito,'addTest',{value:a})",
        "if(Mojito.addTest)b;Mojito.addTest&&b();a=!Mojito.addTest",
        "typeof Mojito.addTest=='function'?b:c;'addTest'in Mojito",
        "/* addTest */a.addTests('addTestimonial')",
    ] {
        case(text, 0);
    }
}

/// `^` marks the end of what it stops.
#[test]
fn what_an_error_of_mojito_stops_is_known() {
    for (text, may_stop_more) in [
        ("Mojito.addTest({})", false),
        ("a;try{Mojito.addTest({})}^catch(a){}", false),
        ("try{try{Mojito.addTest({})}finally{}}^catch(a){}", false),
        ("try{try{Mojito.addTest({})}^catch(a){}}catch(a){}", false),
        ("try{!function(){Mojito.addTest({})}()}^catch(a){}", false),
        ("try{(()=>{Mojito.addTest({})})()}^catch(a){}", false),
        ("try{a(function(){Mojito.addTest({})}^)}catch(a){}", true),
        ("(async()=>{Mojito.addTest({})}^)()", false),
        ("if(a){Mojito.addTest({})}^", true),
        ("window.Mojito||Mojito.addTest({})", false),
    ] {
        let place = read(&text.replace('^', "")).unwrap().experiments[0].place;
        let stops_until = place.stops_until.map(|it| it as usize);
        let stopped = (stops_until, place.may_stop_more);
        assert_eq!(stopped, (text.find('^'), may_stop_more), "{text}");
    }
}

#[test]
fn an_experiment_that_may_not_be_added_is_computed() {
    let last = |script: &str, properties: &str| {
        let add = format!("Mojito.addTest({{{RUNNING},state:'live',{properties}}})");
        let text = script.replace("ADD", &add);
        let mut script = read(&text).unwrap_or_else(|error| panic!("{error:?} in {text}"));
        script.experiments.pop().unwrap()
    };
    for script in [
        "if(a)ADD",
        "if(a);else ADD",
        "if(!1){ADD}",
        "a&&ADD",
        "Mojito=f(),a&&ADD",
        "if(Mojito=f(),a)ADD",
        "a||ADD",
        "a?ADD:b",
        "for(a of b)ADD",
        "for(;a;)ADD",
        "for(a in b)ADD",
        "while(a)ADD",
        "switch(a){case 1:ADD}",
        "try{a}catch(a){ADD}",
        "!function(){if(a)return;ADD}()",
        "(()=>{if(window.Mojito){if(a)return;ADD}})()",
        "throw a;ADD",
        "function unused(){ADD}",
        "!function*(){ADD}()",
        "if(a)Mojito.addTest({id:'b'});ADD",
    ] {
        let [one, other] = ["sampleRate:.1", "sampleRate:.2"].map(|it| last(script, it));
        assert_eq!(one.traffic, Traffic::Dynamic, "{script}");
        // A change of its rate is not lost.
        assert_ne!(one.code, other.code, "{script}");
        let staged = last(script, "state:'staging'");
        assert_eq!(staged.traffic, Traffic::Staged, "{script}");
    }
    for script in [
        "ADD",
        "{ADD}",
        "if(!window.Mojito||!Mojito.testObjects||a){ADD}",
        "window.Mojito&&Mojito.a&&b||(Mojito=f(),ADD)",
        "window.Mojito||ADD",
        "typeof Mojito!='undefined'&&ADD",
        "!function(){if(window.Mojito)return;ADD}()",
        "!function(){function a(){return 1}ADD;return a}()",
        "(()=>{ADD})()",
        "function used(){ADD}used()",
        "!function(){return a,ADD}()",
        "a(function(){return{b(){ADD}}})",
        "a(function(){ADD})",
        "document.addEventListener('load',()=>ADD)",
        "try{ADD}catch(a){}",
        "do{ADD}while(a)",
    ] {
        let live = Traffic::Live { share: 0.1 };
        assert_eq!(last(script, "sampleRate:.1").traffic, live, "{script}");
    }
}

#[test]
fn computed_recipes_are_reported_as_computed_parts() {
    let read = experiment("...base,id:'w1',[key]:1,recipes:{...more,0:{name:'A'}}");
    assert_eq!(read.recipes, []);
    let part = Part::new(None, "computed parts");
    assert!(read.code.contains_key(&part), "{:?}", read.code);
}

#[test]
fn a_container_defines_mojito_or_uses_it() {
    let guarded = "Mojito=function(){}() | window.Mojito=1 | var Mojito = {} | function Mojito(){} | \
                   if(window.Mojito){Mojito.addTest({})} | window.Mojito&&Mojito.addTest({}) | [Mojito]=a | \
                   typeof Mojito!='undefined'?Mojito.addTest({}):0 | Mojito?.addTest({}) | window.Mojito?.addTest({}) | \
                   if(window['Mojito'])a | 'Mojito'in window&&a | try{Mojito.addTest({})}catch(a){} | \
                   var M=window.Mojito;M&&M.addTest({}) | (Mojito=a()).addTest({}) | while(!self.Mojito)a | \
                   Object.defineProperty(window,'Mojito',{value:{addTest(){}}})";
    let unguarded = "Mojito.addTest({}) | if(a){Mojito.addTest({})} | window.Mojito.addTest({}) | M=Mojito;M.addTest({}) | \
                     try{Mojito.addTest({})}finally{}";
    let other = "alert('Mojito') | function f(){var Mojito} | Mojito.options={} | typeof Mojito | Modernizr.addTest('a',b) | M={addTest:function(){}}";
    for (texts, expected) in [
        (guarded, (true, false)),
        (unguarded, (true, true)),
        (other, (false, false)),
    ] {
        for text in texts.split(" | ") {
            let script = read(text).unwrap();
            let is_unguarded = script.is_mojito && script.is_unguarded;
            assert_eq!((script.is_mojito, is_unguarded), expected, "{text}");
        }
    }
}

#[test]
fn what_a_browser_rejects_is_an_error_at_that_place() {
    #[track_caller]
    fn case(text: &str, at: usize) {
        let error = read(text).unwrap_err();
        let found = (error.place.start, error.kind);
        assert_eq!(found, (at, SyntaxErrorKind::Script), "{error:?}");
    }
    case("Mojito = (function () {", 23);
    case("var a = 1..2", 10);
    case("let a; let a", 4);
    case("a = 'b\n'", 4);
    case("/(/.test(a)", 1);
    case("return 1", 0);
    case("'use strict'; with (a) b", 14);
    case("break", 0);
    case("(b, b) => 1", 1);
    case("<a></a>", 0);
    case("a = '\u{200b}';\u{a0}\u{200b}b", 12);
    case("a;\u{85}b", 2);
    case("a: number = 1; let b: string", 20);
    // TypeScript and proposals, which the parser accepts.
    let members =
        "private a(){};readonly a=1;public static x=1;private #a;m?(){};@a b(){};accessor a=1";
    for member in members.split(';') {
        case(&format!("class A{{{member}}}"), 8);
    }
    case("class A{constructor(public a){}}", 20);
    case("(a):b=>1", 3);
    case("@a class B{}", 0);
    case("import.defer('a')", 0);
    case("{await using a=b}", 1);
    case("{using a=b}", 1);
    case("async()=>{await using a=b}", 10);
    // What V8 rejects.
    case("try{}catch({a,b:let}){}", 16);
    case("try{}catch([...let]){}", 15);
    case("class A{async a}", 8);
    case("class A{static async a=1}", 8);
    case("class A{async [a]=1}", 8);
    // New in Unicode 18.
    case("var \u{2b81e}", 4);
    case("a\u{20c1}", 1);
    // Assignments to calls that browsers reject.
    case("'use strict';f()=1", 13);
    case("class A{a(){f()++}}", 12);
    case("f()&&=1", 0);
    case("[f()]=a", 1);
    case("({a:f()}=b)", 4);
    case("a?.b()=1", 0);
    case("new f()=1", 0);
    case("f``++", 0);
    case("f()=1;a b", 0);
    case("let a,let", 6);
    case("'use strict';let++", 16);
    case("'use strict';for(yield of a);", 17);
    case("'use strict';for(eval in a);", 17);
    for module in "import a from 'b';export default 1;await a;import.meta.url".split(';') {
        let kind = read(module).unwrap_err().kind;
        assert_eq!(kind, SyntaxErrorKind::Module, "{module}");
    }
}

#[test]
fn what_a_browser_accepts_is_accepted() {
    for text in [
        "",
        "\u{feff}a",
        "#!/usr/bin/env node\na",
        "<!-- a\nb\n--> c",
        "with (a) b",
        "a = 010; delete a; function f(b, b) { arguments.callee; return 08; }",
        "if (a) function b() {} else function c() {}",
        "var let = 1, yield = 2, await = 3, static = 4, async = 5, of = 6, get = 7; async\n(1)",
        "a: b: for (;;) { continue a; }",
        "/[/]\\/(?<n>x)\\k<n>{2}/.test(a); /]{/.test(b); /\\c/.test(b); /(?=a)*/.test(c); /[\\d-x]/.test(d)",
        "try { a } catch { b } finally { var a = 1; { function a() {} } }",
        "a ??= b?.c?.[d]?.(); class E { #f = 1; static { this.g = #f in h; } }; import('i'); 1_000n",
        "`a${`b${c}`}`; for (const [a, { b, ...c }] of d) ; label: { break label; }",
        "a\u{2028}b\u{2029}c; x = '\u{2028}'; 'Größe \\u{1f600}'",
        "function g() { return new.target; }",
        // Errors in the specification of old, which throw when they run.
        "f()=1;f(a,b)+=1;f(...a,)++;--(f( /* a */ ));a.b()=g()=1;f(f()=1)",
        "for(f() in a);for(f(a).b() of c);function g(){f()=1}",
        "let++;--let;let\n++a;let:a;let=>1;for(let in a);x=[let,let?let:let]",
        "let\nvar a;a=let`b`",
        "{let}",
        "a;let",
        "try{}catch(let){}",
        "for(yield of a);",
    ] {
        read(text).unwrap_or_else(|error| panic!("{error:?} in {text}"));
    }
}

/// The hash of a recipe's code, in a block after these helpers.
fn code_in_block(helpers: &str, function: &str) -> u64 {
    let text =
        format!("{{{helpers};Mojito.addTest({{id:'w1',recipes:{{0:{{}},1:{{js:{function}}}}}}})}}");
    let script = read(&text).unwrap_or_else(|error| panic!("{error:?} in {text}"));
    script.experiments[0].code[&Part::new(Some("1"), "js")].hash
}

#[test]
fn renamed_variables_do_not_change_the_hash() {
    #[track_caller]
    fn case(one: &str, other: &str) {
        let hashes = [one, other].map(|function| code_in_block("", function));
        assert_eq!(hashes[0], hashes[1], "{one} / {other}");
    }
    case("a=>{var b=a.c;return b+d}", "e=>{var f=e.c;return f+d}");
    case("function(a){return{a}}", "function(b){return{a:b}}");
    case("function({a:b}){return b}", "function({a}){return a}");
    case("function(a){({b:a}=c)}", "function(b){({b}=c)}");
    case("function a(){return a}", "function b(){return b}");
    case("()=>{a:for(;;)continue a}", "()=>{b:for(;;)continue b}");
    case("function(){/* one */}", "function(){/* other */}");
    case("(a,b)=>a-b", "(b,a)=>b-a");
    assert_eq!(
        code_in_block("let helper=function(a){return a}", "()=>helper()"),
        code_in_block("let e=function(t){return t}", "()=>e()")
    );
}

#[test]
fn names_of_two_letters_at_the_top_level_are_a_minifiers() {
    let read = |helper: &str| {
        let call = "Mojito.addTest({id:'w1',trigger:function(){NAME()}})";
        let text = format!("function NAME(a){{return a}}{call}").replace("NAME", helper);
        let script = read(&text).unwrap();
        (script.shared_code, script.experiments[0].code.clone())
    };
    assert_eq!(read("e"), read("tx"));
    assert_ne!(read("helper"), read("helped"));
}

#[test]
fn other_code_has_another_hash() {
    #[track_caller]
    fn case(one: &str, other: &str) {
        // Two helpers with minified names.
        let helpers = "let e=function(){return 1},f=function(){return 2}";
        let hashes = [one, other].map(|function| code_in_block(helpers, function));
        assert_ne!(hashes[0], hashes[1], "{one} / {other}");
    }
    case("function(a){return a+1}", "function(a){return a+2}");
    case("function(a,b){return a-b}", "function(a,b){return b-a}");
    case("function(a){return a.b}", "function(a){return a.c}");
    case("function(){return b}", "function(){return c}");
    case("function(a){return{a}}", "function(b){return{b}}");
    case("function(a){return[a,a]}", "function(a){return[a,,a]}");
    case("function(a){a;a()}", "function(a){a,a()()}");
    case("()=>{a:b:for(;;)continue a}", "()=>{a:b:for(;;)continue b}");
    case("()=>e()", "()=>f()");
}

#[test]
fn outer_variables_are_distinguished() {
    let in_function = |parameters: &str, variables: &str, body: &str| {
        let text = format!(
            "!function({parameters}){{var {variables};Mojito.addTest({{id:'w1',recipes:{{1:{{js:function(){{{body}}}}}}}}});\
             Mojito.addTest({{id:'w2',sampleRate:.{}}})}}(top,document)",
            parameters.len()
        );
        read(&text).unwrap().experiments[0].code[&Part::new(Some("1"), "js")].hash
    };
    let code = in_function("a,b", "c,d", "a.title=c");
    assert_eq!(code, in_function("e,f", "g,h", "e.title=g"));
    assert_ne!(code, in_function("a,b", "c,d", "b.title=c"));
    assert_ne!(code, in_function("a,b", "c,d", "a.title=d"));
    // Another experiment in the enclosing function does not count.
    let named = |rate: &str| {
        let text = format!(
            "!function t(){{Mojito.addTest({{id:'w1',trigger:function(){{t()}}}});Mojito.addTest({{id:'w2',sampleRate:{rate}}})}}()"
        );
        read(&text).unwrap().experiments[0].code.clone()
    };
    assert_eq!(named(".1"), named(".5"));
}

#[test]
fn calls_with_computed_arguments_are_shared_code() {
    let shared = |text: &str| read(text).unwrap().shared_code;
    for (one, other) in [("a({b:.1})", "a({b:.9})"), ("{id:1},a()", "{id:1},b()")] {
        let [one, other] =
            [one, other].map(|arguments| shared(&format!("Mojito.addTest({arguments})")));
        assert_ne!(one, other);
    }
    let spread = experiment("id:'w1',state:'live',sampleRate:.1,...a");
    assert_eq!(spread.traffic, Traffic::Dynamic);
    let before = experiment("...a,id:'w1',state:'live',sampleRate:.1,divertTo:null");
    assert_eq!(before.traffic, Traffic::Live { share: 0.1 });
}

#[test]
fn unusual_input_neither_hangs_nor_crashes() {
    // Closing brackets in strings hide open ones.
    let _ = read(&"'(\")\"+'".repeat(20_000));
    let hidden = "(')'+".repeat(5_000);
    assert!(read(&hidden).is_err());
    // Many conditions and many mentions.
    assert!(!read(&"Mojito;a&&b;".repeat(50_000)).unwrap().is_mojito);
    // A large helper with many uses.
    let helper = format!("let e=function(){{{}}};", "a();".repeat(20_000));
    let uses = "e();".repeat(20_000);
    let text = format!("{{{helper}Mojito.addTest({{id:'w1',trigger:function(){{{uses}}}}})}}");
    assert_eq!(read(&text).unwrap().experiments.len(), 1);
}

#[test]
fn experiments_do_not_change_the_shared_code() {
    let shared = |text: &str| read(text).unwrap().shared_code;
    let wrapped = [
        "window.Mojito||(Mojito=function(){var e=1;return e}(),Mojito.buildInfo={a:1})",
        "window.Mojito||(Mojito=function(){var t=1;return t}(),Mojito.buildInfo={a:2},Mojito.addTest({id:'a',b:function(c){return c}}))",
        "window.Mojito||(Mojito=function(){var n=1;return n}(),Mojito.buildInfo={},Mojito.addTest({id:'b'}),Mojito.addTest({id:'a'}))",
        "window.Mojito||((Mojito=function(){var n=1;return n}()).buildInfo={},Mojito.addTest({id:'b'}))",
        "window.Mojito||((Mojito=function(){var n=1;return n}()).buildInfo={})",
        "window.Mojito||(Mojito=function(){var n=1;return n}()).addTest({id:'b'})",
        "window.Mojito||(Mojito=function(){var n=1;return n}())",
        "window.Mojito||((Mojito=function(){var n=1;return n}()).addTest({id:'b'}),Mojito.addTest({id:'a'}));",
    ];
    let plain = [
        "Mojito=f();",
        "Mojito=f()",
        "Mojito=f();\n\nMojito.addTest({id:'a'});\n",
        "(Mojito=f()).addTest({id:'a'})",
        "(Mojito=f()).addTest({id:'a'}),Mojito.addTest({id:'b'});",
        "Mojito=f(),Mojito.addTest({id:'a'})",
        "Mojito=f();;",
    ];
    let blocks = [
        "if(!window.Mojito){Mojito=f();var a=1;}",
        "if(!window.Mojito){Mojito=f();var a=1}",
        "if(!window.Mojito){(Mojito=f()).buildInfo={};var a=1;Mojito.addTest({id:'a'})}",
        "if(!window.Mojito){Mojito=f();Mojito.buildInfo={};var a=1;Mojito.addTest({id:'a'});Mojito.addTest({id:'b'});}",
    ];
    let ternaries = [
        "window.Mojito?0:Mojito=f()",
        "window.Mojito?0:(Mojito=f()).addTest({id:'a'})",
        "window.Mojito?0:(Mojito=f(),Mojito.addTest({id:'a'}))",
    ];
    let mut hashes = Vec::new();
    for forms in [&wrapped[..], &plain, &blocks, &ternaries] {
        for form in forms {
            assert_eq!(shared(form), shared(forms[0]), "{form}");
        }
        hashes.push(shared(forms[0]));
    }
    hashes.push(shared(&wrapped[0].replace("e=1", "e=2")));
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 5);
}

#[test]
fn white_space_and_line_breaks_change_no_code() {
    let shared = |text: &str| read(text).unwrap().shared_code;
    for (one, other) in [
        ("var a=f(b,c)", "var\n a = f(b,\r\n\tc)"),
        ("function f(){return'a'}", "function f () { return 'a' }"),
        ("a in b?1:typeof c", "a in\nb ? 1 : typeof\nc"),
        ("a/* b */;// c", "a;"),
        ("a;", "/*! b */\na\n// c"),
        ("a+ +b;c- -d", "a + +b;c -\n-d"),
        ("`a${b}c`;f(/ d/)", "`a${ b\n}c`;f( / d/ )"),
    ] {
        let [one, other] = [one, other].map(|text| (text, shared(text)));
        assert_eq!(one.1, other.1, "{} / {}", one.0, other.0);
    }
}

#[test]
fn commas_brackets_and_semicolons_that_matter_change_the_shared_code() {
    for (one, other) in [
        ("a*(b+c)", "a*b+c"),
        ("return_(a,b)", "return_((a,b))"),
        ("a&&(b,c)", "a&&b,c"),
        ("a&&b;c", "if(a&&b)c"),
        ("a?b:(c,d)", "a?b:c,d"),
        ("if(a){b;c}", "if(a)b;c"),
        ("if(a){if(b)c}else d", "if(a){if(b)c;else d}"),
        ("while(a)b,c", "while(a)b;c"),
        ("for(;;);a", "for(;;)a"),
        ("x=>(a,b)", "x=>a,b"),
        ("function f(){return a,b}", "function f(){return a;b}"),
        ("function f(){throw a,b}", "function f(){throw a;b}"),
        ("(a,b).c", "a,b.c"),
        ("(a=b)+c", "a=b+c"),
        ("var a,b", "var a;b"),
        ("[a,b]", "[(a,b)]"),
        ("`a;`", "`a`"),
        ("f('a;')", "f('a')"),
        ("f('a b')", "f('ab')"),
        ("f(`a ${b} `)", "f(`a ${b}`)"),
        ("f(/a b/)", "f(/ab/)"),
        ("a+ +b", "a++;b"),
        ("a\n++b", "a++\nb"),
        ("function f(){return\na}", "function f(){return a}"),
        ("f(typeof/**/b)", "f(typeofb)"),
    ] {
        let [one, other] = [one, other].map(|text| (text, read(text).unwrap().shared_code));
        assert_ne!(one.1, other.1, "{} / {}", one.0, other.0);
    }
}

/// A container with some bytes replaced, removed or inserted.
fn mutated() -> impl Strategy<Value = String> {
    let put = "[ -~]{0,6}|\\PC{0,3}";
    let edit = (any::<prop::sample::Index>(), 0..12_usize, put);
    (any::<bool>(), prop::collection::vec(edit, 1..6)).prop_map(|(pretty, edits)| {
        let mut text = if pretty { PRETTY } else { MINIFIED }.to_owned();
        for (at, taken, put) in edits {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.ceil_char_boundary((start + taken).min(text.len()));
            text.replace_range(start..end, &put);
        }
        text
    })
}

proptest! {
    #![proptest_config(crate::common::testing::cases(1_000))]

    #[test]
    fn reading_a_mutated_container_never_panics(text in mutated()) {
        match read(&text) {
            Ok(script) => prop_assert!(script.experiments.len() <= 4),
            Err(error) => {
                prop_assert!(error.place.start <= text.len(), "{error:?}");
                crate::mojito::excerpt::excerpt(std::path::Path::new("a.js"), &text, error.place);
            }
        }
    }
}

#[test]
fn regular_expressions_are_checked_as_a_browser_would() {
    #[track_caller]
    fn case(regex: &str, marked: &str, message: &str) {
        let text = format!("Mojito = a + {regex};");
        let error = read(&text).unwrap_err();
        assert_eq!(error.kind, SyntaxErrorKind::Script);
        assert_eq!((&text[error.place], &*error.message), (marked, message));
    }
    for valid in ["/(?<a>a)|[b-c]{1,2}\\k<a>/u", "/[a&&b]/v", "/[/]/"] {
        assert!(read(&format!("Mojito = a + {valid};")).is_ok(), "{valid}");
    }
    let invalid = |what: &str| format!("Invalid regular expression: {what}");
    let twice = "Flag g is mentioned twice in regular expression literal";
    case("/a/gg", "g", twice);
    case("/(a/", "(a", &invalid("Unterminated capturing group"));
    let order = invalid("Character class atom range out of order");
    case("/[b-a]/", "-a", &order);
}

/// Each of these once took quadratic time: minutes instead of a second.
#[test]
fn large_input_is_read_in_linear_time() {
    let many = |part: fn(usize) -> String, count: usize| (0..count).map(part).collect::<String>();
    let spreads = many(|_| "...a,".to_owned(), 50_000);
    let functions = many(|number| format!("function a{number}(){{}}"), 8_000);
    let experiments = many(|number| format!("Mojito.addTest({{a:a{number}}});"), 8_000);
    for text in [
        format!("Mojito.addTest({{id:'a',{spreads}}})"),
        format!("!function(){{{functions}{experiments}}}()"),
        format!("({}Mojito).addTest({{}})", "Mojito||".repeat(50_000)),
        "Mojito.addTest({})||".repeat(20_000) + "1",
        "this.Mojito.addTest({})&&".repeat(20_000) + "1",
        "window.Mojito?Mojito.addTest({}):".repeat(20_000) + "1",
        "if(window.Mojito)Mojito.addTest({});else ".repeat(5_000) + ";",
        "a=>Mojito.addTest({},".repeat(2_000) + "Mojito.addTest({})" + &")".repeat(2_000),
        "a.addTest||".repeat(50_000) + "Mojito.addTest({})",
        "try{".repeat(200) + &"Mojito.addTest({});".repeat(20_000) + &"}catch(a){}".repeat(200),
        "'a'in ".repeat(50_000) + "Mojito.addTest({})",
    ] {
        let script = read(&text).unwrap_or_else(|error| panic!("{error:?} in {text:.50}"));
        assert!(!script.experiments.is_empty());
    }
}
