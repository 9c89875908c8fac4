//! What the routines leave in `info` when an argument is at fault, and what they answer to a workspace query.

#![allow(clippy::borrow_as_ptr)] // Fortran takes everything by pointer

use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

use super::cholesky::{potrf, potri, potrs};
use super::condition::gecon;
use super::eigh::syev;
use super::fortran::Info;
use super::least_squares::gelsd;
use super::lu::{getrf, getri, getrs};
use super::qr::{gelqf, geqrf, orglq, orgqr};
use super::svd::{gesdd, gesvd};

const NAN: f64 = f64::NAN;

fn letter(letter: u8) -> c_char {
    letter as c_char
}

/// Each bad argument of each routine, by its position; no array is touched, so none is given.
#[test]
fn bad_arguments_are_named_by_position() {
    let (l, bad, v, s, n3, n2, no) = (letter(b'L'), letter(b'?'), letter(b'V'), letter(b'S'), 3, 2, -1);
    let (p, i) = (null_mut::<f64>(), null_mut::<c_int>());
    let (one, n_letter) = (1, letter(b'N'));
    // SAFETY: every call is refused before an array is touched.
    let refused: Vec<(Info, c_int)> = unsafe {
        vec![
            (potrf(&bad, &n3, p, &n3), 1),
            (potrf(&l, &no, p, &n3), 2),
            (potrf(&l, &n3, p, &n2), 4),
            (potrs(&bad, &n3, &one, p, &n3, p, &n3), 1),
            (potrs(&l, &no, &one, p, &n3, p, &n3), 2),
            (potrs(&l, &n3, &no, p, &n3, p, &n3), 3),
            (potrs(&l, &n3, &one, p, &n2, p, &n3), 5),
            (potrs(&l, &n3, &one, p, &n3, p, &n2), 7),
            (potri(&bad, &n3, p, &n3), 1),
            (potri(&l, &no, p, &n3), 2),
            (potri(&l, &n3, p, &n2), 4),
            (getrf(&no, &n3, p, &n3, i), 1),
            (getrf(&n3, &no, p, &n3, i), 2),
            (getrf(&n3, &n3, p, &n2, i), 4),
            (getrs(&bad, &n3, &one, p, &n3, i, p, &n3), 1),
            (getrs(&n_letter, &n3, &one, p, &n3, i, p, &n2), 8),
            (getri(&no, p, &n3, i, p, &one), 1),
            (getri(&n3, p, &n2, i, p, &one), 3),
            (getri(&n3, p, &n3, i, p, &0), 6),
            (gecon(&bad, &n3, p, &n3, &1.0, p, p, i), 1),
            (gecon(&s, &n3, p, &n3, &1.0, p, p, i), 1),
            (gecon(&letter(b'O'), &n3, p, &n3, &-1.0, p, p, i), 5),
            (gecon(&letter(b'O'), &n3, p, &n3, &NAN, p, p, i), 5),
            (syev(&bad, &l, &n3, p, &n3, p, p, &one), 1),
            (syev(&v, &bad, &n3, p, &n3, p, p, &one), 2),
            (syev(&v, &l, &n3, p, &n2, p, p, &one), 5),
            (syev(&v, &l, &n3, p, &n3, p, p, &0), 8),
            (gesvd(&letter(b'O'), &s, &n3, &n2, p, &n3, p, p, &n3, p, &n2, p, &one), 1),
            (gesvd(&s, &bad, &n3, &n2, p, &n3, p, p, &n3, p, &n2, p, &one), 2),
            (gesvd(&s, &s, &n3, &n2, p, &n2, p, p, &n3, p, &n2, p, &one), 6),
            (gesvd(&s, &s, &n3, &n2, p, &n3, p, p, &n2, p, &n2, p, &one), 9),
            (gesvd(&s, &s, &n3, &n2, p, &n3, p, p, &n3, p, &one, p, &one), 11),
            (gesvd(&s, &s, &n3, &n2, p, &n3, p, p, &n3, p, &n2, p, &0), 13),
            (gesdd(&bad, &n3, &n2, p, &n3, p, p, &n3, p, &n2, p, &one, i), 1),
            (gesdd(&s, &n3, &n2, p, &n2, p, p, &n3, p, &n2, p, &one, i), 5),
            (gesdd(&s, &n3, &n2, p, &n3, p, p, &n2, p, &n2, p, &one, i), 8),
            (gesdd(&s, &n3, &n2, p, &n3, p, p, &n3, p, &one, p, &one, i), 10),
            (gesdd(&s, &n3, &n2, p, &n3, p, p, &n3, p, &n2, p, &0, i), 12),
            (geqrf(&no, &n3, p, &n3, p, p, &one), 1),
            (gelqf(&n3, &n3, p, &n2, p, p, &one), 4),
            (orgqr(&n2, &n3, &n2, p, &n3, p, p, &one), 2),
            (orgqr(&n3, &n2, &n3, p, &n3, p, p, &one), 3),
            (orglq(&n3, &n2, &n2, p, &n3, p, p, &one), 2),
            (orglq(&n2, &n3, &n3, p, &n3, p, p, &one), 3),
            (gelsd(&n2, &n3, &one, p, &n2, p, &n2, p, &-1.0, i, p, &one, i), 7),
            (gelsd(&n2, &n3, &one, p, &n2, p, &n3, p, &-1.0, i, p, &0, i), 12),
        ]
    };
    for (case, (info, position)) in refused.into_iter().enumerate() {
        assert_eq!(info, Err(-position), "case {case}");
    }
}

#[test]
fn workspace_queries_touch_nothing_else() {
    let (l, v, s, n3, query) = (letter(b'L'), letter(b'V'), letter(b'S'), 3, -1);
    let (p, i) = (null_mut::<f64>(), null_mut::<c_int>());
    let (mut work, mut iwork) = (0.0, 0);
    // SAFETY: a query reads sizes and writes the first number of each workspace.
    unsafe {
        let w: *mut f64 = &raw mut work;
        getri(&n3, p, &n3, i, w, &query).unwrap();
        syev(&v, &l, &n3, p, &n3, p, w, &query).unwrap();
        gesvd(&s, &s, &n3, &n3, p, &n3, p, p, &n3, p, &n3, w, &query).unwrap();
        gesdd(&s, &n3, &n3, p, &n3, p, p, &n3, p, &n3, w, &query, i).unwrap();
        geqrf(&n3, &n3, p, &n3, p, w, &query).unwrap();
        orglq(&n3, &n3, &n3, p, &n3, p, w, &query).unwrap();
        gelsd(&n3, &n3, &n3, p, &n3, p, &n3, p, &-1.0, i, w, &query, &raw mut iwork).unwrap();
    }
    assert_eq!((work, iwork), (1.0, 1));
}
