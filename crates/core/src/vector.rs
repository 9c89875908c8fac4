//! Loops compiled for each vector instruction set, the widest of this machine chosen at run time.
//!
//! The body is the same plain Rust each time. The compiler never contracts a·b + c by itself, so a body without
//! `mul_add` has the same bits on every instruction set.

/// Vector instructions that this machine has. No other value can be made, so that holding one is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors(Set);

/// The sets that loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Vectors {
    /// The widest of this machine: AVX-512 (F, DQ, VL, BW), else AVX2, else the target's baseline.
    #[inline]
    pub fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
            {
                return Self(Set::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                return Self(Set::Avx2);
            }
        }
        Self(Set::Portable)
    }

    /// Every set that this machine has, for tests.
    pub fn available() -> Vec<Self> {
        let mut all = vec![Self(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            let widest = Self::widest();
            if is_x86_feature_detected!("avx2") {
                all.push(Self(Set::Avx2));
            }
            if widest == Self(Set::Avx512) {
                all.push(widest);
            }
        }
        all
    }

    /// Whether the machine has AVX-512; for [`widest_vectors`](crate::widest_vectors).
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn has_avx512(self) -> bool {
        self.0 == Set::Avx512
    }

    /// Whether the machine has AVX2 and nothing wider was chosen; for [`widest_vectors`](crate::widest_vectors).
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn has_avx2(self) -> bool {
        self.0 == Set::Avx2
    }
}

/// Defines `fn $name(vectors, …)` that runs the `#[inline(always)] fn $body(…)` compiled for the given [`Vectors`];
/// `fn $name[T: Bound](…)` is generic.
#[macro_export]
macro_rules! widest_vectors {
    (
        $(#[$doc:meta])*
        $visibility:vis fn $name:ident $([$($generic:ident: $bound:path),+])? ($($arg:ident: $type:ty),* $(,)?)
            -> $out:ty = $body:expr
    ) => {
        $(#[$doc])*
        #[allow(unsafe_code, clippy::allow_attributes)]
        $visibility fn $name $(<$($generic: $bound),+>)? (vectors: $crate::Vectors, $($arg: $type),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
                fn avx512 $(<$($generic: $bound),+>)? ($($arg: $type),*) -> $out {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2 $(<$($generic: $bound),+>)? ($($arg: $type),*) -> $out {
                    $body($($arg),*)
                }
                if vectors.has_avx512() {
                    // SAFETY: a `Vectors` is made only where the machine has every instruction set it names.
                    return unsafe { avx512($($arg),*) };
                }
                if vectors.has_avx2() {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = vectors;
            $body($($arg),*)
        }
    };
}
