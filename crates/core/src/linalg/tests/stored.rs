//! Results stored as numbers, so that two back ends that both pass agree with each other:
//!
//!   cargo test -p sda-core
//!   cargo test -p sda-core --no-default-features --features openblas
//!
//! Source: computed from the same integer formula with 60 decimal digits by mpmath 1.3 (svd_r, eigsy, lu_solve, det)
//! and rounded to f64, which shares no code with either back end.

use ndarray::{Array1, Array2, array};

use super::super::{BACK_END, eigh, log_det_spd, lstsq, solve, solve_spd, svd};
use super::assert_close;

const TOLERANCE: f64 = 1e-10;

struct Stored {
    n: usize,
    singular_values: &'static [f64],
    tall_singular_values: &'static [f64],
    eigenvalues: &'static [f64],
    solution: &'static [f64],
    spd_solution: &'static [f64],
    least_squares: &'static [f64],
    log_det: f64,
}

const STORED: [Stored; 2] = [
    Stored {
        n: 3,
        singular_values: &[1.632850537514628, 0.6869309576979081, 0.05049734145897952],
        tall_singular_values: &[1.8241628823202154, 1.5356620131969076, 0.8848287743904039],
        eigenvalues: &[-0.1994759904208952, 0.6174611343365325, 1.3320148560843628],
        solution: &[-8.0, 0.0, 8.0],
        spd_solution: &[1.5336982658955964, 3.531695082187086, 4.115020200262744],
        least_squares: &[5.968885356646135, 1.0117623683687662, 1.1630836479237037],
        log_det: -0.7826842225579093,
    },
    Stored {
        n: 8,
        singular_values: &[
            3.0638825109734897,
            2.49436571344023,
            2.2216055685985077,
            1.8921578364665832,
            1.521329052679169,
            0.8668224948782167,
            0.513317960236847,
            0.17328419887712274,
        ],
        tall_singular_values: &[
            3.4325936453770503,
            2.8791170466676386,
            2.701220613629154,
            2.2707204842219677,
            1.9036513654177085,
            1.8466971654200723,
            1.0868718155814492,
            0.5096589948309023,
        ],
        eigenvalues: &[
            -0.8367483600718235,
            -0.2741935689706491,
            0.28009128240316616,
            0.6063954715649333,
            1.3944026129822789,
            1.5181134917349848,
            1.8610939083170859,
            2.3258451620400233,
        ],
        solution: &[
            -18.415267414880482,
            -3.939623948652243,
            13.746566183216666,
            7.217614408297358,
            9.931012116394639,
            16.671984529684323,
            -7.299302002601426,
            -9.844089213398,
        ],
        spd_solution: &[
            3.1468273751671485,
            2.125636546488281,
            3.760192847520329,
            7.545049386776377,
            11.569453157388168,
            7.426111573639236,
            7.986304454673296,
            7.490331787758888,
        ],
        least_squares: &[
            -1.1640526950399421,
            1.146578866142687,
            3.6973009440057996,
            3.023692226058721,
            -0.3080710022047007,
            2.1574536008360874,
            1.5813382165245595,
            -1.7426896519337012,
        ],
        log_det: -1.255971014810491,
    },
];

/// ((7i² + 13j + 5ij) mod 17 − 8)/8, plus 1 on the diagonal: exact in binary. Condition 32 (n = 3) and 18 (n = 8).
fn integers(m: usize, n: usize) -> Array2<f64> {
    Array2::from_shape_fn((m, n), |(i, j)| {
        (((7 * i * i + 13 * j + 5 * i * j) % 17) as f64 - 8.0) / 8.0 + f64::from(u8::from(i == j))
    })
}

#[test]
fn stored_numbers_are_met() {
    for want in &STORED {
        let n = want.n;
        let (square, tall) = (integers(n, n), integers(n + 4, n));
        let spd = square.dot(&square.t()) / n as f64 + Array2::<f64>::eye(n) * 0.5;
        let b = Array1::from_shape_fn(n, |i| (i + 1) as f64);
        let targets = Array1::from_shape_fn(n + 4, |i| ((3 * i * i) % 7) as f64);
        let check =
            |got: Array1<f64>, want: &[f64]| assert_close(&got, &Array1::from(want.to_vec()), TOLERANCE);
        check(svd(&square).unwrap().singular_values, want.singular_values);
        check(svd(&tall).unwrap().singular_values, want.tall_singular_values);
        check(eigh(&((&square + &square.t()) * 0.5)).unwrap().values, want.eigenvalues);
        check(solve(&square, &b).unwrap(), want.solution);
        check(solve_spd(&spd, &b).unwrap(), want.spd_solution);
        check(lstsq(&tall, &targets).unwrap().solution, want.least_squares);
        check(array![log_det_spd(&spd).unwrap()], &[want.log_det]);
    }
}

#[test]
fn the_back_end_is_the_one_asked_for() {
    assert_eq!(BACK_END, if cfg!(feature = "openblas") { "openblas" } else { "faer" });
}
