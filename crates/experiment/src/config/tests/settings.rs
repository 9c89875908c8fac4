//! `path=value`, applied to the text.

use super::{SMALL, Written};
use crate::config::Setting;

fn set(setting: &str, text: &str) -> Result<String, String> {
    Setting::parse(setting).unwrap().apply(text)
}

#[track_caller]
fn check(setting: &str, text: &str, expected: &str) {
    assert_eq!(set(setting, text).as_deref(), Ok(expected), "{setting}");
}

#[test]
fn parsing() {
    let parsed = Setting::parse(" training . epochs = 10 ").unwrap();
    assert_eq!(parsed, Setting { path: vec!["training".into(), "epochs".into()], value: "10".into() });
    assert_eq!(Setting::parse("a=(b=1)").unwrap().value, "(b=1)");
    for wrong in ["", "training.epochs", "=1", "a..b=1", "a=", ".a=1", "a.=1"] {
        let reason = Setting::parse(wrong).unwrap_err();
        assert!(reason.contains("path.of.field=value") && reason.contains(wrong), "{reason}");
    }
}

#[test]
fn one_value_is_replaced_and_nothing_else() {
    check("a=2", "(a: 1, b: 3)", "(a: 2, b: 3)");
    check("b.c=2", "(a: 1, b: (d: 0, c: 9))", "(a: 1, b: (d: 0, c: 2))");
    check("a.1=7", "(a: [4, 5, 6])", "(a: [4, 7, 6])");
    check("a.1.b=7", "(a: [(b: 1), (b: 2,)])", "(a: [(b: 1), (b: 7,)])");
    check("a=[1, 2]", "(\n  a: [3],\n)", "(\n  a: [1, 2],\n)");
    check("a.1=9", "(a: (1, 2, 3))", "(a: (1, 9, 3))");
    check("a.k=9", r#"(a: {"k": 1, "l": 2})"#, r#"(a: {"k": 9, "l": 2})"#);
    check("a=\"new\"", r#"(a: "old")"#, r#"(a: "new")"#);
    check("a=\"new\"", r##"(a: r#"old "one" (5"#, b: 1)"##, r#"(a: "new", b: 1)"#);
    check("a=\"new\"", r#"(a: r"C:\", b: 1)"#, r#"(a: "new", b: 1)"#);
    check("a=\"new\"", r#"(a: /* "older" */"old")"#, r#"(a: /* "older" */"new")"#);
}

#[test]
fn entries_with_names_are_told_by_name() {
    check("a.16=2", "(a: {4: 3, 16: 1})", "(a: {4: 3, 16: 2})");
    check("a.4=2", "(a: {16: 1, 4: 3})", "(a: {16: 1, 4: 2})");
    check("a.16.b=2", "(a: {16: (b: 1)})", "(a: {16: (b: 2)})");
    check("a.1=2", "(a: Some({1: 7}))", "(a: Some({1: 2}))");
}

#[test]
fn variants_are_walked_through() {
    check("n.w=2", "(n: Local(w: 1))", "(n: Local(w: 2))");
    check("n.w=[2]", "(n: ResMlp((w: [1], v: 0)))", "(n: ResMlp((w: [2], v: 0)))");
    check("s.n.w=2", "(s: Local(o: 4, n: ResMlp((w: 1))))", "(s: Local(o: 4, n: ResMlp((w: 2))))");
    check("o.1=2", "(o: Components([0, 1]))", "(o: Components([0, 2]))");
    check("n=Other", "(n: Local(w: 1), m: 2)", "(n: Other, m: 2)");
}

#[test]
fn strings_and_comments_are_no_structure() {
    check("b=2", r#"(a: "x, b: 9 )", b: 1)"#, r#"(a: "x, b: 9 )", b: 2)"#);
    check("b=2", r#"(a: "x \" ), b: 9", b: 1)"#, r#"(a: "x \" ), b: 9", b: 2)"#);
    check("b=2", "(a: 1, // b: 3, (\n b: 1)", "(a: 1, // b: 3, (\n b: 2)");
    check("b=2", "(a: 1, /* b: 3, ( */ b: 1)", "(a: 1, /* b: 3, ( */ b: 2)");
    check(
        "b=2",
        "(// a: comment, first\n a: 0,\n // b, too: (\n b: 1 // after )\n)",
        "(// a: comment, first\n a: 0,\n // b, too: (\n b: 2 // after )\n)",
    );
    check("a=2", "// (a: 5)\n(a: /* old ) */ 1 /* older */)", "// (a: 5)\n(a: /* old ) */ 2 /* older */)");
}

#[test]
fn a_default_is_written_in() {
    let written = set("b=2", "(a: 1)").unwrap();
    assert_eq!(written.replace(' ', ""), "(b:2,a:1)");
    let nested = set("a.c=2", "(a: (b: 1))").unwrap();
    assert_eq!(nested.replace(' ', ""), "(a:(c:2,b:1))");
    let newtype = set("n.v=2", "(n: ResMlp((w: 1)))").unwrap();
    assert_eq!(newtype.replace(' ', ""), "(n:ResMlp((v:2,w:1)))");
    let structs = set("b.x.y=1", "(b: (c: 1))").unwrap();
    assert_eq!(structs.replace(' ', ""), "(b:(x:(y:1),c:1))");
    // One element that is a struct is still an element of its list.
    check("a.0.b=2", "(a: [(b: 1)])", "(a: [(b: 2)])");
    let empty = set("a.c=2", "(a: ())").unwrap();
    assert_eq!(empty.replace([' ', ','], ""), "(a:(c:2))");
}

#[test]
fn a_path_that_leads_nowhere_names_what_is_there() {
    let reason = set("a.3=1", "(a: [1, 2])").unwrap_err();
    assert!(reason.contains("«a.3»") && reason.contains("0 … 1"), "{reason}");
    for (setting, text, words) in [
        ("a.1=3", "(a: {16: 1})", &["«a.1»", "entries are 16", "set all of «a»"][..]),
        ("a.k=3", r#"(a: {"l": 1, "m": 2})"#, &["«a.k»", "entries are l, m", "set all of «a»"]),
        ("a.k.b=3", "(a: {})", &["«a.k»", "no entries", "set all of «a»"]),
        ("a.0=3", "(a: (b: 1, c: 2))", &["«a.0»", "entries are b, c"]),
        ("a.0=3", "(a: [])", &["«a.0»", "no entries", "set all of «a»"]),
        ("0=3", "(a: 1)", &["«0»", "entries are a"]),
    ] {
        let reason = set(setting, text).expect_err(setting);
        for word in words {
            assert!(reason.contains(word), "{setting}: «{word}» is not in: {reason}");
        }
    }
    let reason = set("a.b=1", "(a: 1)").unwrap_err();
    assert!(reason.contains("«a»") && reason.contains("no fields"), "{reason}");
    let reason = set("a=1", "").unwrap_err();
    assert!(reason.contains("struct"), "{reason}");
}

/// Nothing tells what else is in a list or a tuple that is left to its default.
#[test]
fn a_position_in_what_is_not_there_is_refused_with_the_remedy() {
    for (setting, text, whole) in [
        ("data.split.1=200", "(data: (steps: 8))", "data.split"),
        ("data.split.1=200", "(seed: 1)", "data.split"),
        ("split.1.low=200", "(seed: 1)", "split"),
    ] {
        let reason = set(setting, text).unwrap_err();
        let words = format!("there is no «{whole}» in the file; set all of it: {whole}=…");
        assert_eq!(reason, words, "{setting}");
    }
    let file = Written::new(SMALL);
    let message = file.load(None, &["data.split.1=200"]).unwrap_err().to_string();
    assert!(message.contains("--set «data.split.1=200»") && message.contains("data.split=…"), "{message}");
    let e = file.load(None, &["assimilation.fewer={1: 1}", "assimilation.fewer.1=1"]).unwrap().experiment;
    assert_eq!(e.assimilation.fewer.get(&1), Some(&1));
}

#[test]
fn broken_texts_are_no_panic() {
    for text in
        ["(", "(a: [1", "(a: \"x", "(a: 1 /* b", ")", "(a: 1))", "\"", "/*", "(a: 'b')", "(ä: 1, b: «)"]
    {
        for setting in ["a=1", "a.b=1", "a.0=1", "b=2"] {
            let _ = set(setting, text);
        }
    }
}

/// What the settings of the real file's tiers need, by their effect.
#[test]
fn settings_reach_every_kind_of_field() {
    let file = Written::new(SMALL);
    let loaded = file
        .load(
            None,
            &[
                "score.order=1",
                "score.network.features=9",
                "score.network.hidden_features=[32]",
                "training.optimiser.weight_decay=0.5",
                "observations.1.noise_std=0.75",
                "assimilation.guidance.gamma=1e-2",
                "assimilation.sampler.grid=Squared",
                "data.split=(8, 2, 2)",
                "title=\"other\"",
            ],
        )
        .unwrap_or_else(|e| panic!("failed to {e}"));
    let e = &loaded.experiment;
    assert_eq!((e.score.window(), e.observations[1].noise_std, e.observations[0].noise_std), (3, 0.75, 0.05));
    assert_eq!((e.training.optimiser.weight_decay, e.training.optimiser.betas), (0.5, [0.9, 0.999]));
    assert_eq!((e.data.split, e.title.as_str()), (Some((8, 2, 2)), "other"));
    assert_eq!(e.assimilation.sampler.grid, sda_diffusion::TimeGrid::Squared);
}
