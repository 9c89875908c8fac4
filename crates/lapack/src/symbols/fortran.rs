//! Fortran's calling convention: everything by pointer, matrices by columns with a leading dimension, and a last
//! argument `info`. Each reader takes the argument's position and refuses a bad value with `info` = −position.

use std::ffi::{c_char, c_int};

use faer::{MatMut, MatRef};

use super::scalar::Scalar;

/// What a routine leaves in `info`: `Ok` is 0.
pub(crate) type Info = Result<(), c_int>;

/// Exports one generic routine under LAPACK's two names. `T` in the arguments is the symbol's own precision
/// (a type alias of the module that holds it), and `info` is appended.
macro_rules! fortran {
    ($routine:ident as $single:ident, $double:ident ($($argument:ident: $type:ty),* $(,)?)) => {
        fortran!(@symbol $routine, $single, f32, ($($argument: $type),*));
        fortran!(@symbol $routine, $double, f64, ($($argument: $type),*));
    };
    (@symbol $routine:ident, $symbol:ident, $precision:ty, ($($argument:ident: $type:ty),*)) => {
        mod $symbol {
            #[allow(clippy::wildcard_imports)] // the argument types are those in scope at the macro's call
            use super::*;
            #[allow(dead_code)] // a routine without arrays would not name it
            type T = $precision;

            /// LAPACK's routine of this name.
            ///
            /// # Safety
            /// LAPACK's contract: valid pointers, arrays of the sizes that the dimensions say.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $symbol($($argument: $type,)* info: *mut c_int) {
                // SAFETY: the caller's promise, passed on.
                unsafe { *info = super::$routine::<T>($($argument),*).err().unwrap_or(0) }
            }
        }
    };
}

/// Reads a letter, in either case.
///
/// # Safety
/// `letter` is valid for a read.
pub(crate) unsafe fn flag(letter: *const c_char, allowed: &[u8], position: c_int) -> Result<u8, c_int> {
    // SAFETY: the caller's promise.
    let letter = (unsafe { *letter } as u8).to_ascii_uppercase();
    if allowed.contains(&letter) { Ok(letter) } else { Err(-position) }
}

/// Reads a size, which is not negative.
///
/// # Safety
/// `size` is valid for a read.
pub(crate) unsafe fn dimension(size: *const c_int, position: c_int) -> Result<usize, c_int> {
    // SAFETY: the caller's promise.
    usize::try_from(unsafe { *size }).map_err(|_| -position)
}

/// Reads a leading dimension, which is at least 1 and at least the number of rows.
///
/// # Safety
/// `stride` is valid for a read.
pub(crate) unsafe fn leading(stride: *const c_int, rows: usize, position: c_int) -> Result<usize, c_int> {
    // SAFETY: the caller's promise.
    let stride = unsafe { dimension(stride, position) }?;
    if stride >= rows.max(1) { Ok(stride) } else { Err(-position) }
}

/// Answers a workspace query (`lwork` = −1); no routine here needs more than the one number that answers it.
///
/// # Safety
/// `lwork` is valid for a read, `work` for a write.
pub(crate) unsafe fn is_query<T: Scalar>(
    work: *mut T,
    lwork: *const c_int,
    position: c_int,
) -> Result<bool, c_int> {
    // SAFETY: the caller's promise.
    let lwork = unsafe { *lwork };
    if lwork < 1 && lwork != -1 {
        return Err(-position);
    }
    // SAFETY: a query and any workspace of at least one number have room for it.
    unsafe { work.write(T::ONE) };
    Ok(lwork == -1)
}

/// A matrix [rows, columns] to read.
///
/// # Safety
/// `entries` holds `columns` columns, `stride` apart, of initialised numbers, that nobody writes meanwhile.
pub(crate) unsafe fn matrix<'a, T: Scalar>(
    entries: *const T,
    rows: usize,
    columns: usize,
    stride: usize,
) -> MatRef<'a, T> {
    // SAFETY: the caller's promise; column-major.
    unsafe { MatRef::from_raw_parts(entries, rows, columns, 1, stride as isize) }
}

/// A matrix [rows, columns] to read and write.
///
/// # Safety
/// As [`matrix`], and nobody else reads it meanwhile.
pub(crate) unsafe fn matrix_mut<'a, T: Scalar>(
    entries: *mut T,
    rows: usize,
    columns: usize,
    stride: usize,
) -> MatMut<'a, T> {
    // SAFETY: the caller's promise; column-major.
    unsafe { MatMut::from_raw_parts_mut(entries, rows, columns, 1, stride as isize) }
}

/// Writes an output array, which need not be initialised.
///
/// # Safety
/// `output` is valid for writes of all values.
pub(crate) unsafe fn write_vector<V>(output: *mut V, values: impl IntoIterator<Item = V>) {
    for (i, value) in values.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { output.add(i).write(value) };
    }
}

/// Writes an output matrix, which need not be initialised.
///
/// # Safety
/// `output` is valid for writes of the columns of `values`, `stride` apart.
pub(crate) unsafe fn write_matrix<T: Scalar>(output: *mut T, stride: usize, values: MatRef<'_, T>) {
    for j in 0..values.ncols() {
        // SAFETY: the caller's promise.
        unsafe { write_vector(output.add(j * stride), values.col(j).iter().copied()) };
    }
}
