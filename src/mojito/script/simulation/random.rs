//! Random experiments, as people and minifiers write them: most usual, some with a value of any type.

use std::fmt::Write as _;

use super::library::Js::{self, Bool, Function, List, Null, Num, Object, Text, Undefined};

/// A small generator of random numbers (`SplitMix64`), the same in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % count as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// A value of any type.
    fn any(&mut self) -> Js {
        let numbers = [0.0, -0.5, 0.3, 0.5, 1.0, 1.5, 50.0, f64::NAN, f64::INFINITY];
        let texts = [
            "",
            "0",
            "1",
            "0.5",
            "0.3",
            " 1 ",
            "0x1",
            "50%",
            "live",
            "Staging",
            "toString",
            "constructor",
        ];
        match self.below(9) {
            0 => Undefined,
            1 => Null,
            2 => Bool(self.one_in(2)),
            3 | 4 => Num(self.pick(&numbers)),
            5 | 6 => Text(self.pick(&texts)),
            7 => self.pick(&[
                List(vec![]),
                List(vec![Num(0.5)]),
                List(vec![Null, Text("a")]),
            ]),
            _ => self.pick(&[Object(vec![]), Function]),
        }
    }

    /// The values, of which a few are left out or replaced by something odd.
    fn object(&mut self, usual: Vec<(&'static str, Js)>) -> Js {
        let mut properties = Vec::new();
        for (name, value) in usual {
            if self.one_in(24) {
                properties.push((name, self.any()));
            } else if !self.one_in(40) {
                properties.push((name, value));
            }
            if self.one_in(100) {
                properties.push((name, self.any()));
            }
        }
        if self.one_in(3) {
            properties.reverse();
        }
        Object(properties)
    }

    fn recipes(&mut self) -> Js {
        let usual: &[&[f64]] = &[
            &[0.5, 0.5],
            &[0.1, 0.2, 0.7],
            &[0.25, 0.75],
            &[1.0 / 3.0; 3],
            &[0.0, 1.0],
        ];
        let odd: &[&[f64]] = &[
            &[0.5, 0.3],
            &[0.2, 0.2, 0.2],
            &[0.7, 0.6, 0.3],
            &[50.0, 50.0],
            &[-0.5, 1.5],
            &[0.5, f64::NAN, 0.2],
        ];
        let rates = if self.one_in(3) {
            self.pick(odd)
        } else {
            self.pick(usual)
        };
        let has_rates = self.one_in(2);
        let keys = self.pick(&[
            ["0", "1", "2"],
            ["b", "a", "1"],
            ["constructor", "2", "0"],
            ["a", "b", "a"],
        ]);
        let recipes: Vec<(&'static str, Js)> = keys
            .into_iter()
            .zip(rates)
            .map(|(key, rate)| {
                let mut properties = vec![("name", Text("Treatment"))];
                if has_rates {
                    properties.push(("sampleRate", Num(*rate)));
                }
                (key, self.object(properties))
            })
            .collect();
        if self.one_in(10) {
            List(recipes.into_iter().map(|(_, recipe)| recipe).collect())
        } else {
            self.object(recipes)
        }
    }

    pub(super) fn experiment(&mut self, ids: &[&'static str]) -> Js {
        let mut usual = vec![
            ("id", Text(self.pick(ids))),
            ("name", Text("Hero")),
            (
                "state",
                Text(self.pick(&["live", "live", "Live", "staging", "paused"])),
            ),
            ("sampleRate", Num(self.pick(&[0.0, 0.1, 0.25, 0.5, 1.0]))),
            ("recipes", self.recipes()),
            ("trigger", Function),
        ];
        if self.one_in(6) {
            usual.push(("divertTo", Text(self.pick(&["0", "1", "a", "toString"]))));
        }
        if self.one_in(6) {
            usual.push(("options", Object(vec![("cookieDuration", Num(90.0))])));
        }
        self.object(usual)
    }

    /// A value as a person or a minifier writes it.
    pub(super) fn written(&mut self, value: &Js) -> String {
        let quote = |text: &str, mark: &str| format!("{mark}{text}{mark}");
        match value {
            Undefined => self.pick(&["undefined", "void 0"]).into(),
            Null => "null".into(),
            Bool(true) => self.pick(&["true", "!0"]).into(),
            Bool(false) => self.pick(&["false", "!1"]).into(),
            Num(number) if number.is_nan() => self.pick(&["NaN", "0/0"]).into(),
            Num(number) if number.is_infinite() => self.pick(&["Infinity", "1/0"]).into(),
            Num(number) if (number * 3.0 - 1.0).abs() < 1e-9 => "1/3".into(),
            Num(number) if self.one_in(2) => number.to_string().replacen("0.", ".", 1),
            Num(number) => number.to_string(),
            Text(text) => {
                let mark = self.pick(&["'", "\"", "`"]);
                quote(text, mark)
            }
            List(items) => {
                let items: Vec<String> = items.iter().map(|it| self.written(it)).collect();
                format!("[{}]", items.join(","))
            }
            Object(properties) => {
                let (open, between) = self.pick(&[("{", ","), ("{\n    ", ",\n    ")]);
                let mark = self.pick(&["", "'", "\""]);
                let mut text = open.to_owned();
                for (name, value) in properties {
                    let value = self.written(value);
                    let _ = write!(text, "{}:{value}{between}", quote(name, mark));
                }
                text + "}"
            }
            Function => self
                .pick(&["function(t){t.activate()}", "t=>t.activate()"])
                .into(),
        }
    }
}
