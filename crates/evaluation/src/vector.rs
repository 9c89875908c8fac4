//! Loops compiled for each vector instruction set, the widest of this machine chosen at run time.
//!
//! The body is the same plain Rust each time and the compiler never contracts a·b + c by itself, so the bits are the
//! same on every instruction set.

/// Defines `fn $name(…)` that runs the `#[inline(always)] fn $body(…)` of the same arguments.
macro_rules! widest_vectors {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $out:ty = $body:path) => {
        $(#[$doc])*
        #[allow(unsafe_code, clippy::allow_attributes)]
        $visibility fn $name($($arg: $type),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
                fn avx512($($arg: $type),*) -> $out {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) -> $out {
                    $body($($arg),*)
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                {
                    // SAFETY: the machine has just been found to have every instruction set that is enabled.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            $body($($arg),*)
        }
    };
}

pub(crate) use widest_vectors;
