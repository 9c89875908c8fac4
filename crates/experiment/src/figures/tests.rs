//! Laws over every kind of figure: renders, says what it shows, refuses bad numbers.

use ndarray::{Array2, Array3};

use super::*;

struct Fan {
    times: Vec<f64>,
    truth: Array2<f64>,
    samples: Array3<f64>,
    states: Vec<usize>,
    values: Vec<f64>,
    noise_std: f64,
    component: usize,
}

impl Fan {
    fn new(length: usize) -> Self {
        Self {
            times: (0..length).map(|i| 0.025 * i as f64).collect(),
            truth: Array2::from_shape_fn((length, 3), |(i, d)| (0.2 * i as f64 + d as f64).sin()),
            samples: Array3::from_shape_fn((20, length, 3), |(n, i, d)| {
                (n + d) as f64 * 0.1 + 0.1 * i as f64
            }),
            states: vec![0, length - 1],
            values: vec![0.5, -0.5],
            noise_std: 0.05,
            component: 0,
        }
    }

    fn draw(&self) -> Result<Drawing, FigureError> {
        let posterior = |name| Posterior { name, samples: &self.samples };
        PosteriorFan {
            title: "Lorenz-63, lo",
            subtitle: "climatological prior",
            model_times: &self.times,
            model_time_label: "model time",
            components: &["x₁", "x₂", "x₃ & more"],
            truth: &self.truth,
            posteriors: &[posterior("SDA"), posterior("particle filter")],
            observations: &[ObservedComponent {
                component: self.component,
                states: &self.states,
                values: &self.values,
                noise_std: self.noise_std,
            }],
        }
        .draw()
    }
}

fn training(epochs: usize) -> Result<Drawing, FigureError> {
    let numbers: Vec<f64> = (0..epochs).map(|e| e as f64).collect();
    let losses: Vec<f64> = numbers.iter().map(|e| 1.0 / (1.0 + e)).collect();
    TrainingCurve {
        title: "training",
        subtitle: "",
        epochs: &numbers,
        training: &losses,
        validation_epochs: &numbers[..epochs / 2],
        validation: &losses[..epochs / 2],
        learning_rate: Some(LearningRate { values: &losses }),
    }
    .draw()
}

fn w1(values: &[f64], errors: &[f64], floor: f64) -> Result<Drawing, FigureError> {
    let curves = [Curve { name: "lo", values, errors }];
    let floors = [Level { name: "lo: two filters", value: floor, of: Some("lo") }];
    w1_against_corrections("W₁ against corrections", "1024 samples", &[0, 1, 4], &curves, &floors)
}

fn log_lines(value: f64) -> Result<Drawing, FigureError> {
    let values = [1.0, value];
    Lines {
        title: "a logarithmic panel",
        subtitle: "",
        x_label: "steps",
        positions: Positions::Numbers(&[64.0, 256.0]),
        panels: &[Panel {
            title: "lo",
            y_label: "error",
            log: true,
            curves: &[Curve { name: "MMPS", values: &values, errors: &[5.0, 0.0] }],
            levels: &[],
        }],
    }
    .draw()
}

fn ranks(counts: &[u64]) -> Result<Drawing, FigureError> {
    let panel = |title| RankPanel { title, counts };
    RankHistograms {
        title: "ranks, «lo»",
        subtitle: "one number a trajectory",
        panels: &["filter", "C = 0", "C = 1", "C = 2", "C = 4: p = 0.31"].map(panel),
    }
    .draw()
}

fn all() -> Vec<(Drawing, &'static [&'static str])> {
    vec![
        (
            Fan::new(9).draw().unwrap(),
            &[
                "Lorenz-63, lo",
                "climatological prior",
                "model time",
                "x₂",
                "x₃ &amp; more",
                "particle filter",
                "truth",
            ],
        ),
        (Fan::new(2).draw().unwrap(), &["SDA"]),
        (
            training(300).unwrap(),
            &["training", "validation", "loss", "epoch", "learning rate", "running mean"],
        ),
        (training(1).unwrap(), &["training"]),
        (
            w1(&[40.0, 13.0, 8.0], &[3.0, 1.0, 0.5], 5.0).unwrap(),
            &["lo: two filters", "corrections", "W₁", "1024"],
        ),
        (w1(&[1.0, 1.0, 1.0], &[], 1.0).unwrap(), &["lo"]),
        (
            ranks(&[9, 4, 0, 7]).unwrap(),
            &["ranks, «lo»", "one number", "filter", "C = 4: p = 0.31", "uniform ranks", "density"],
        ),
        (log_lines(0.01).unwrap(), &["a logarithmic panel", "MMPS", "steps", "error"]),
    ]
}

/// Every tag closed in order, and attributes quoted: what an XML parser would ask of it.
fn check_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "stray '>' before {}", &rest[start..]);
        rest = &rest[start + 1..];
        if rest.starts_with("!--") {
            rest = &rest[rest.find("-->").unwrap() + 3..];
            continue;
        }
        let end = rest.find('>').unwrap();
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        assert!(tag.matches('"').count().is_multiple_of(2), "unbalanced quotes in <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

#[test]
fn every_figure_is_a_well_formed_svg_that_names_what_it_shows() {
    for (drawing, labels) in all() {
        let svg = drawing.svg();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{}", &svg[..60]);
        assert!(svg.contains("viewBox=\"0 0 ") && !svg.contains("NaN") && !svg.contains("inf"));
        check_well_formed(&svg);
        for label in labels {
            assert!(svg.contains(label), "{:?} does not show {label:?}", drawing.title());
        }
    }
}

#[test]
fn every_figure_is_a_png_of_its_size_with_something_on_it() {
    for (drawing, _) in all() {
        let png = drawing.png().unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let field = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        let (width, height) = drawing.size();
        assert_eq!((field(16), field(20)), ((2.0 * width).ceil() as u32, (2.0 * height).ceil() as u32));
        assert!(png.len() > 10_000, "{:?} compresses to {} bytes: blank", drawing.title(), png.len());
    }
}

#[test]
fn the_same_numbers_are_the_same_bytes() {
    let (a, b) = (Fan::new(9).draw().unwrap(), Fan::new(9).draw().unwrap());
    assert!(a.svg() == b.svg() && a.png().unwrap() == b.png().unwrap());
    assert!(a.svg().contains("url(#clip-0)") && !a.svg().contains("kuva-clip"));
}

#[test]
fn saving_writes_both_and_leaves_nothing_partial() {
    let folder = tempfile::tempdir().unwrap();
    let nested = folder.path().join("figures");
    let drawing = training(3).unwrap();
    for _ in 0..2 {
        let [svg, png] = drawing.save(&nested, "training").unwrap();
        assert!(std::fs::read_to_string(svg).unwrap() == drawing.svg());
        assert!(std::fs::read(png).unwrap() == drawing.png().unwrap());
    }
    assert_eq!(std::fs::read_dir(&nested).unwrap().count(), 2);
}

#[test]
fn saving_into_a_file_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures");
    std::fs::write(&file, "in the way").unwrap();
    let error = training(3).unwrap().save(&file, "training").unwrap_err();
    assert!(matches!(&error, FigureError::Write(_)), "{error}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[test]
fn bad_fans_are_refused() {
    let refused = |change: &dyn Fn(&mut Fan), word: &str| {
        let mut fan = Fan::new(9);
        change(&mut fan);
        let message = fan.draw().unwrap_err().to_string();
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    };
    refused(&|f| f.times.clear(), "model_times is empty");
    refused(&|f| f.times[3] = f64::NAN, "model_times is NaN at [3]");
    refused(&|f| f.times.truncate(4), "truth has shape [9, 3], expected [4, 3]");
    refused(&|f| f.truth[(2, 1)] = f64::INFINITY, "truth is inf at [2, 1]");
    refused(&|f| f.truth = Array2::zeros((9, 2)), "truth has shape [9, 2]");
    refused(&|f| f.samples[(19, 8, 2)] = f64::NAN, "posterior \"SDA\" is NaN at [19, 8, 2]");
    refused(&|f| f.samples = Array3::zeros((0, 9, 3)), "posterior \"SDA\" is empty");
    refused(&|f| f.samples = Array3::zeros((4, 8, 3)), "shape [4, 8, 3], expected [4, 9, 3]");
    refused(&|f| f.values.clear(), "observation of component 0 is empty");
    refused(&|f| f.values[1] = f64::NAN, "is NaN at [1]");
    refused(&|f| f.states.push(1), "states has shape [3], expected [2]");
    refused(&|f| f.states[1] = 9, "below the trajectory's length");
    refused(&|f| f.component = 3, "below the state's size");
    refused(&|f| f.noise_std = -0.1, "noise_std is -0.1");
}

#[test]
fn bad_curves_are_refused() {
    for (result, word) in [
        (w1(&[1.0, 2.0], &[], 1.0), "shape [2], expected [3]"),
        (w1(&[1.0, f64::INFINITY, 2.0], &[], 1.0), "curve \"lo\" is inf at [1]"),
        (w1(&[f64::NAN; 3], &[], 1.0), "curve \"lo\" is empty"),
        (w1(&[1.0, 2.0, 3.0], &[0.1, -1.0, 0.1], 1.0), "0 or more"),
        (w1(&[1.0, 2.0, 3.0], &[0.1], 1.0), "errors of curve \"lo\""),
        (w1(&[1.0, 2.0, 3.0], &[], f64::NAN), "level \"lo: two filters\" is NaN"),
        (log_lines(0.0), "above 0 on a logarithmic axis"),
        (training(0), "epochs is empty"),
        (ranks(&[]), "ranks of \"filter\" is empty"),
        (ranks(&[0, 0]), "mean of the ranks of \"filter\" is 0"),
        (w1_against_corrections("t", "", &[], &[], &[]), "empty"),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
}

/// What a curve lacks is not drawn, neither its bar.
#[test]
fn curves_may_lack_points() {
    let drawn = |values: &[f64], errors: &[f64]| {
        let drawing = w1(values, errors, 1.0).unwrap();
        assert!(!drawing.svg().contains("NaN"), "{}", drawing.svg());
        ["<circle", "<path"].map(|mark| drawing.svg().matches(mark).count())
    };
    let (whole, gap) = ([1.0, 2.0, 3.0], [1.0, f64::NAN, 3.0]);
    let [all, some] = [drawn(&whole, &[]), drawn(&gap, &[])];
    assert_eq!([all[0] - some[0], all[1] - some[1]], [1, 0], "a point");
    let [all, some] = [drawn(&whole, &[0.1; 3]), drawn(&gap, &[0.1, f64::NAN, 0.1])];
    assert_eq!([all[0] - some[0], all[1] - some[1]], [1, 1], "a point and its bar");
}

/// A field that grows to the upper right: its corners are red above right and blue below left.
#[test]
fn strips_show_x_to_the_right_and_y_up() {
    let field = ndarray::Array2::from_shape_fn((4, 4), |(x, y)| (x + y) as f64 / 3.0 - 1.0);
    let columns = ["t = 0".to_owned(), "t = 1".to_owned()];
    let strip =
        |label: &str, second| Strip { label: label.into(), fields: vec![Some(field.clone()), second] };
    let strips = [strip("truth", Some(-&field)), strip("sample", None)];
    let figure = FieldStrips {
        title: "fields",
        subtitle: "",
        columns: &columns,
        strips: &strips,
        range: 1.0,
        quantity: "ω",
    };
    let drawing = figure.draw().unwrap();
    // Three fields and the scale.
    assert_eq!(drawing.svg().matches("<image ").count(), 4);
    let bytes = drawing.png().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let width = reader.next_frame(&mut rgb).unwrap().width as usize;
    let (_, height) = drawing.size();
    // The last row's first field ends 6 units above the figure's end, 118 to the right of its beginning.
    let at = |x: f64, y: f64| {
        let i = 3 * ((2.0 * y) as usize * width + (2.0 * x) as usize);
        [rgb[i], rgb[i + 1], rgb[i + 2]]
    };
    let (left, bottom) = (118.0, height - 12.0);
    let (upper_right, lower_left) = (at(left + 90.0, bottom - 90.0), at(left + 6.0, bottom - 6.0));
    assert!(upper_right[0] > 2 * upper_right[2], "{upper_right:?} is red");
    assert!(lower_left[2] > 2 * lower_left[0], "{lower_left:?} is blue");
    let middle = at(left + 6.0, bottom - 66.0);
    assert!(middle.iter().all(|&c| c > 140), "{middle:?} is pale");
    for bad in [
        FieldStrips { range: 0.0, ..figure },
        FieldStrips { strips: &[], ..figure },
        FieldStrips { columns: &columns[..1], ..figure },
    ] {
        assert!(bad.draw().is_err());
    }
    let infinite = [strip("truth", Some(ndarray::Array2::from_elem((2, 2), f64::INFINITY)))];
    let error = FieldStrips { strips: &infinite, ..figure }.draw().unwrap_err().to_string();
    assert!(error.contains("column 1"), "{error}");
}
