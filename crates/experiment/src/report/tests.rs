//! Every writer says everything, and what it says means itself.

use super::*;

const HOSTILE: &str = "<script>alert(\"x\" & 'y')</script> | a_b *c* `d`";

fn report() -> Report {
    Report {
        title: "Lorenz, tier quick".into(),
        summary: vec!["64 trajectories.".into()],
        posterior: "climatological prior".into(),
        checks: vec![
            check("lo: W₁ ratio", 1.4, None, Some(2.5)),
            check("hi: W₁ ratio", 3.1, None, Some(2.5)),
            check("lo: log p(y|x)", f64::NAN, Some(-12.0), Some(16.5)),
        ],
        tables: vec![Table {
            title: "Scores, lo".into(),
            note: "1024 samples".into(),
            columns: ["corrections", "log p(x)", "W₁", "within"].map(str::to_owned).to_vec(),
            rows: vec![
                vec![
                    Cell::Text("0".into()),
                    Cell::Number(-20.5),
                    Cell::Spread(43.127, 3.04),
                    Cell::Passed(false),
                ],
                vec![Cell::Text("sixteen".into()), Cell::Count(16), Cell::Missing, Cell::Passed(true)],
                vec![Cell::Text("short row".into())],
            ],
        }],
        figures: vec![Picture {
            file: "figures/fan lo.png".into(),
            caption: "posterior fan".into(),
            image: Image::Svg("<svg xmlns=\"http://www.w3.org/2000/svg\"/>".into()),
        }],
        notes: vec!["nothing diverged".into()],
        facts: vec![Facts { title: "seeds".into(), rows: vec![("training".into(), "7".into())] }],
        configuration: "(seed: 7)".into(),
    }
}

fn check(quantity: &str, value: f64, lower: Option<f64>, upper: Option<f64>) -> Check {
    Check { quantity: quantity.into(), value, lower, upper, source: "issue 2".into() }
}

#[test]
fn every_writer_says_everything() {
    let report = report();
    let plain = |text: String| text.replace('\\', "");
    let words =
        ["Lorenz, tier quick", "climatological prior", "lo: W₁ ratio", "≤ 2.5", "−12 … 16.5", "issue 2"];
    let more =
        ["Scores, lo", "1024 samples", "−20.50", "43.13 ± 3.0", "sixteen", "—", "✓", "✗", "nothing diverged"];
    let full = ["64 trajectories.", "posterior fan", "seeds", "training", "(seed: 7)"];
    for (text, complete) in
        [(report.html(), true), (plain(report.markdown()), true), (report.terminal(), false)]
    {
        for word in words.iter().chain(&more).chain(full.iter().filter(|_| complete)) {
            assert!(text.contains(word), "no {word:?} in:\n{text}");
        }
    }
}

#[test]
fn a_check_passes_within_its_bounds_only() {
    for (value, lower, upper, passes) in [
        (1.0, Some(1.0), Some(1.0), true),
        (0.99, Some(1.0), None, false),
        (1.01, None, Some(1.0), false),
        (5.0, None, None, true),
        (f64::NAN, None, None, false),
        (f64::INFINITY, Some(0.0), None, false),
    ] {
        assert_eq!(check("q", value, lower, upper).passed(), passes, "{value} in {lower:?} … {upper:?}");
    }
    assert!(!report().passed());
    assert!(Report::default().passed());
    assert!(report().terminal().ends_with("✗ 1 of 3 checks passed\n"));
}

#[test]
fn hostile_text_stays_text() {
    let mut report = report();
    for text in [&mut report.title, &mut report.posterior, &mut report.configuration] {
        *text = HOSTILE.into();
    }
    report.summary = vec![HOSTILE.into()];
    report.notes = vec![HOSTILE.into()];
    report.figures[0].caption = HOSTILE.into();
    report.checks[0].quantity = HOSTILE.into();
    report.checks[0].source = HOSTILE.into();
    report.tables[0].title = HOSTILE.into();
    report.tables[0].note = HOSTILE.into();
    report.tables[0].columns[1] = HOSTILE.into();
    report.tables[0].rows[0][0] = Cell::Text(HOSTILE.into());
    report.facts[0] = Facts { title: HOSTILE.into(), rows: vec![(HOSTILE.into(), HOSTILE.into())] };
    let html = report.html();
    assert!(
        !html.contains("<script") && html.contains("&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)")
    );
    // One alt attribute, whose quotes are still two.
    let figure = &html[html.find("<figure>").unwrap()..html.find("<figcaption>").unwrap()];
    assert_eq!(figure.matches('"').count(), 4);
    let markdown = report.markdown();
    let before_the_fence = &markdown[..markdown.find("<details>").unwrap()];
    assert!(!before_the_fence.replace("\\<", "").replace("](<figures", "").contains('<'));
    assert!(before_the_fence.contains("\\| a\\_b \\*c\\* \\`d\\`"));
    let row =
        markdown.lines().find(|line| line.starts_with("| \\<script") && line.contains("43.13")).unwrap();
    assert_eq!(row.replace("\\|", "").matches('|').count(), 5);
}

#[test]
fn the_page_fetches_nothing() {
    let mut report = report();
    report.figures.push(Picture {
        file: String::new(),
        caption: "field".into(),
        image: Image::Png(vec![0x89, b'P']),
    });
    let html = report.html();
    assert!(
        html.contains("src=\"data:image/svg+xml;base64,PHN2Zy")
            && html.contains("data:image/png;base64,iVA=")
    );
    for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn a_fence_is_longer_than_what_it_holds() {
    let mut report = report();
    report.configuration = "a ```` b".into();
    assert!(report.markdown().contains("\n`````ron\na ```` b\n`````\n"));
}

#[test]
fn columns_are_aligned() {
    let rows =
        vec![vec!["lo".into(), "5.00".into()], vec!["longer σ".into(), "−12.50".into()], vec!["x".into()]];
    let text = columns(&["case", "W₁"], &rows, &[false, true]);
    assert_eq!(text, "case          W₁\n────────  ──────\nlo          5.00\nlonger σ  −12.50\nx");
}

#[test]
fn saved_files_are_whole_and_json_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let report = report();
    let written = report.save(&folder.path().join("run")).unwrap();
    assert_eq!(std::fs::read_to_string(&written[0]).unwrap(), report.html());
    assert_eq!(std::fs::read_to_string(&written[1]).unwrap(), report.markdown());
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&written[2]).unwrap()).unwrap();
    assert_eq!(json["tables"][0]["rows"][0][1]["Number"], -20.5);
    assert_eq!(json["checks"][2]["value"], serde_json::Value::Null);
    assert_eq!(std::fs::read_dir(folder.path().join("run")).unwrap().count(), 3);
}

#[test]
fn a_folder_that_is_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run");
    std::fs::write(&file, "in the way").unwrap();
    let message = report().save(&file).unwrap_err().to_string();
    assert!(message.contains("run"), "{message}");
}
